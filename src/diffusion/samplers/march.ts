import { tf, type Tensor } from '../../engine/index.js';
import type { SamplerHooks } from './types.js';

/** The state after the step from `t` to `next`; called inside a tidy. `step` counts from 0. */
export type Advance = (x: Tensor, t: number, next: number, step: number) => Tensor;

/** Takes `advance` over all intervals of `times`, holding one state at a time. */
export async function march(
  start: Tensor,
  times: ArrayLike<number>,
  advance: Advance,
  { onStep }: SamplerHooks = {},
): Promise<Tensor> {
  let x = start.clone();
  try {
    for (let step = 0; step + 1 < times.length; step++) {
      const before = x;
      x = tf.tidy(() => advance(before, times[step], times[step + 1], step));
      before.dispose();
      await onStep?.({ step: step + 1, t: times[step + 1], x });
    }
    return x;
  } catch (error) {
    x.dispose();
    throw error;
  }
}
