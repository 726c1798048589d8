import { gatherParts } from '../../distributed/index.js';
import { tf } from '../../engine/index.js';
import type { Accumulator } from './pass.js';

/** RMSC (iREPA): root mean square distance of an image's unit tokens from their mean, one value per image, 0 to 1. */
export function tokenContrast(): Accumulator & { readonly values: number[] } {
  let values: number[] = [];
  return {
    get values() {
      return values;
    },
    async add({ unit }) {
      const contrast = tf.tidy(() => unit.sub(unit.mean(1, true)).square().sum(2).mean(1).sqrt());
      values.push(...(await contrast.data()));
      contrast.dispose();
    },
    async merge(communicator) {
      values = (await gatherParts(communicator, values)).flat();
    },
  };
}
