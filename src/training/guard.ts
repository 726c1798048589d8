import { sumOfSquares, tf, type Tensor } from '../engine/index.js';
import type { Params } from '../nn/index.js';
import type { StepSums } from './gradients.js';

/** Whether a step counts and by what to multiply its gradient sums; scalars on the device, the caller's. */
export interface StepVerdict {
  /** 1; or 0 where a loss or a gradient's norm is not finite: then the step must change nothing. */
  gate: Tensor;
  /** By network: averaging over the parts and clipping to the global norm in one number, 0 where the gate is. */
  factors: Record<string, Tensor>;
  /** Global norm of each network's averaged gradient before clipping. */
  norms: Record<string, Tensor>;
}

/** Judges a step without reading anything back. `clip` 0 leaves the norm alone. */
export function judge({ networks, parts }: StepSums, clip: number): StepVerdict {
  return tf.tidy(() => {
    const norms = mapValues(networks, ({ gradients }) => globalNorm(gradients).div(parts));
    // 0 · x is 0 for every finite x and NaN for every other.
    const finite = [...Object.values(networks).map(({ scalars }) => scalars.loss), ...Object.values(norms)];
    const doubt = tf.addN(finite.map(x => x.mul<Tensor>(0)));
    const gate = doubt.equal(0).toFloat();
    const factors = mapValues(norms, norm => {
      const shrink = clip > 0 ? tf.minimum(1, tf.div(clip, norm.add(1e-6))) : tf.scalar(1);
      return tf.where(gate.equal(1), shrink.div(parts), tf.scalar(0));
    });
    return { gate, factors, norms } as never;
  });
}

/** √Σ g² over all tensors, a scalar; 0 where there are none. */
function globalNorm(gradients: Params): Tensor {
  return sumOfSquares(Object.values(gradients)).sqrt();
}

const mapValues = <A, B>(record: Record<string, A>, f: (value: A) => B): Record<string, B> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, f(value)]));
