import type { Tensor } from '../engine/index.js';
import type { Params } from './params.js';

/** Result of batch normalisation in training. */
export interface TrainedBatchNorm {
  output: Tensor;
  /** New values of `running_mean` and `running_var`. */
  buffers: Params;
}

/** Share of one batch in the running statistics. */
export const BATCH_NORM_MOMENTUM = 0.1;

/**
 * Batch normalisation by the batch's own statistics (Ioffe & Szegedy 2015), as PyTorch trains it: the biased variance
 * normalises, the unbiased one goes into the running estimate. x [..., c], all axes but the last are averaged.
 */
export function trainBatchNorm(
  params: Params,
  x: Tensor,
  eps: number,
  momentum = BATCH_NORM_MOMENTUM,
): TrainedBatchNorm {
  const rows = x.reshape([-1, x.shape[x.rank - 1]]);
  const count = rows.shape[0];
  const mean = rows.mean(0);
  const centred = rows.sub(mean);
  const variance = centred.square().mean(0);
  const normal = centred.mul(variance.add(eps).rsqrt());
  const towards = (old: Tensor, now: Tensor): Tensor => old.mul(1 - momentum).add(now.mul(momentum));
  return {
    output: normal.mul(params.weight).add(params.bias).reshape(x.shape),
    buffers: {
      running_mean: towards(params.running_mean, mean),
      running_var: towards(params.running_var, variance.mul(count / (count - 1))),
    },
  };
}
