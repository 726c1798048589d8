import { hasKernels, rmsNormalised, type Tensor } from '../engine/index.js';
import { silu } from './activations.js';
import { differentiable } from './differentiable.js';
import { memoised } from './layers.js';
import type { Params } from './params.js';
import { recomputing } from './recomputing.js';
import { asRows } from './rows.js';

/**
 * Root-mean-square normalisation over the last axis (Zhang & Sennrich 2019), and the activation after it, if any.
 * x [..., c], weight [c].
 */
export function rmsNorm({ weight }: Params, x: Tensor, eps = 1e-6, activation: 'none' | 'silu' = 'none'): Tensor {
  const layer = (a: Tensor, gain: Tensor): Tensor => {
    const y = scaledRms(eps)(a, gain);
    return activation === 'silu' ? silu(y) : y;
  };
  if (!hasKernels()) return layer(x, weight);
  return recomputing((a, gain) => rmsNormalised(a, gain, { eps, activation }), layer)(x, weight);
}

const scaledRms = memoised(eps =>
  differentiable(
    (x, weight) => {
      const scale = x.square().mean(-1, true).add(eps).rsqrt();
      const normal = x.mul(scale);
      return [normal.mul(weight), normal, scale, weight];
    },
    (dy, normal, scale, weight) => {
      const inner = dy.mul(weight);
      const projection = inner.mul(normal).mean(-1, true);
      return [inner.sub(normal.mul(projection)).mul(scale), asRows(dy.mul(normal)).sum(0)];
    },
  ),
);
