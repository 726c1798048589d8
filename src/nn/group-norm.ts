import { tf, type Tensor, type Tensor4D } from '../engine/index.js';
import { silu } from './activations.js';
import type { Params } from './params.js';

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
  return tf.tidy(() => {
    const [n, h, w, c] = x.shape as [number, number, number, number];
    const grouped = x.reshape([n, h * w, groups, c / groups]);
    const { mean, variance } = tf.moments(grouped, [1, 3], true);
    const normal = grouped.sub(mean).mul(variance.add(eps).rsqrt()).reshape([n, h, w, c]);
    const y = normal.mul<Tensor>(weight).add<Tensor>(bias);
    return (activation === 'silu' ? silu(y) : y) as Tensor4D;
  });
}
