import { tf, type Tensor } from '../../engine/index.js';
import type { PathPoint } from '../paths.js';
import { dataFromVelocity } from '../predictions.js';
import { march } from './march.js';
import { fixedSteps } from './offered.js';
import type { Sampler } from './types.js';

/**
 * DPM-Solver++(2M) (Lu et al. 2022, algorithm 2): one evaluation a step, second order. It is exact for data that do
 * not change along the way, in λ = log(α/σ); the data are extrapolated from the last two steps.
 */
export function dpmSolver(path: (t: number) => PathPoint): Sampler {
  return async (field, start, times, hooks) => {
    let former: { data: Tensor; h: number } | undefined;
    try {
      return await march(
        start,
        times,
        (x, t, next) => {
          const [from, to] = [path(t), path(next)];
          const h = logRatio(to) - logRatio(from);
          const data = tf.keep(combine(dataFromVelocity(from), field(x, t, t), x));
          const ahead = former ? extrapolate(data, former, h) : data;
          former?.data.dispose();
          former = { data, h };
          // e^(−h) is (σ'/α')(α/σ); written with σ alone it holds at both ends, where α or σ is 0.
          const kept = to.sigma / from.sigma;
          return x.mul(kept).add(ahead.mul(to.alpha - from.alpha * kept));
        },
        hooks,
      );
    } finally {
      former?.data.dispose();
    }
  };
}

export const offered = fixedSteps(dpmSolver);

const logRatio = ({ alpha, sigma }: PathPoint): number => Math.log(alpha / sigma);

/** The straight line in λ through the last two data predictions, half a step ahead. */
function extrapolate(data: Tensor, former: { data: Tensor; h: number }, h: number): Tensor {
  // The first step may start at λ = −∞ and the last may end at ∞: there is no line through such points.
  const weight = Number.isFinite(h) && Number.isFinite(former.h) ? h / (2 * former.h) : 0;
  return weight === 0 ? data : data.mul(1 + weight).sub(former.data.mul(weight));
}

function combine({ output, x: weight }: { output: number; x: number }, output_: Tensor, x: Tensor): Tensor {
  return output_.mul(output).add(x.mul(weight));
}
