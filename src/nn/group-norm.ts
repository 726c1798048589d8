import { groupNormalised, hasKernels, tf, type GroupNormOptions, type Tensor, type Tensor4D } from '../engine/index.js';
import { silu } from './activations.js';
import type { Params } from './params.js';
import { recomputing } from './recomputing.js';

/**
 * Group normalisation over h, w and the channels of a group (Wu & He 2018), and the activation after it, if any.
 * x [n, h, w, c], weight and bias [c].
 */
export function groupNorm(
  { weight, bias }: Params,
  x: Tensor,
  groups: number,
  eps: number,
  activation: 'none' | 'silu' = 'none',
): Tensor4D {
  const options = { groups, eps, activation };
  const layer = composed(options);
  const norm = hasKernels() ? recomputing((a, gain, shift) => groupNormalised(a, gain, shift, options), layer) : layer;
  return norm(x, weight, bias) as Tensor4D;
}

const composed =
  ({ groups, eps, activation }: GroupNormOptions): ((...inputs: Tensor[]) => Tensor) =>
  (x, weight, bias) =>
    tf.tidy(() => {
      const [n, h, w, c] = x.shape as [number, number, number, number];
      const grouped = x.reshape([n, h * w, groups, c / groups]);
      const { mean, variance } = tf.moments(grouped, [1, 3], true);
      const normal = grouped.sub(mean).mul(variance.add(eps).rsqrt()).reshape([n, h, w, c]);
      const y = normal.mul<Tensor>(weight).add<Tensor>(bias);
      return activation === 'silu' ? silu(y) : y;
    });
