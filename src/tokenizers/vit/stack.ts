import { tf, type Tensor } from '../../engine/index.js';
import type { Params } from '../../nn/index.js';

/** Which named intermediates a caller wants; they are its own to free. Default: none. */
export type Wanted = (name: string) => boolean;

export const NOTHING: Wanted = () => false;

/**
 * x through `depth` layers one after the other. What is not wanted is freed as soon as the next layer has it, so that
 * a forward pass holds one layer; a tape keeps what its gradients need by itself.
 */
export function throughLayers(
  x: Tensor,
  depth: number,
  layer: (x: Tensor, index: number) => Tensor,
  wanted: Wanted,
): { x: Tensor; activations: Params } {
  const activations: Params = {};
  let current = x;
  for (let i = 0; i < depth; i++) {
    const next = tf.tidy(() => layer(current, i));
    const name = `blocks.${i}`;
    if (wanted(name)) activations[name] = next;
    if (i > 0 && !Object.hasOwn(activations, `blocks.${i - 1}`)) current.dispose();
    current = next;
  }
  return { x: current, activations };
}
