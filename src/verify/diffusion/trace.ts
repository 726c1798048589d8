import { tf, type Tensor } from '../../engine/index.js';
import type { ConditionalField } from '../../diffusion/guidance.js';
import type { HostArray } from '../../nn/index.js';
import { arrayOf } from './case.js';

/** A network that remembers what it was asked. */
export interface Traced {
  network: ConditionalField;
  /** The first `rows` rows of every input, stacked; frees its memory. */
  states: (rows: number) => Tensor;
  /** The times asked for. */
  times: () => HostArray;
}

export function traced(network: ConditionalField): Traced {
  const states: Tensor[] = [];
  const times: number[] = [];
  return {
    network: (x, t, labels) => {
      states.push(tf.keep(x.clone()));
      times.push(t);
      return network(x, t, labels);
    },
    states: rows => {
      const all = tf.tidy(() => tf.stack(states.map(x => x.slice([0, 0, 0], [rows, x.shape[1]!, x.shape[2]!]))));
      tf.dispose(states);
      return all;
    },
    times: () => arrayOf(times),
  };
}
