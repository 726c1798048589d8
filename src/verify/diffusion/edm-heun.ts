import type { Tensor } from '../../engine/index.js';
import { march } from '../../diffusion/samplers/march.js';
import type { SamplerHooks } from '../../diffusion/samplers/types.js';

/** The expected data at noise level sigma: x = data + sigma · noise. */
export type Denoiser = (x: Tensor, sigma: number, stepStart: number) => Tensor;

export interface Churn {
  /** Total noise added over the steps, in units of the noise that is there. */
  amount: number;
  min: number;
  max: number;
  /** Factor of the added noise's standard deviation. */
  scale: number;
  /** Standard normal numbers shaped like x for the k-th draw, from 0; inside a tidy. */
  noise: (draw: number) => Tensor;
}

/** Noise levels from `max` to `min`, then 0, equally spaced in σ^(1/ρ) (Karras et al. 2022, eq. 5). */
export function edmSigmas(steps: number, { min = 0.002, max = 80, rho = 7 } = {}): Float64Array {
  const [from, to] = [max ** (1 / rho), min ** (1 / rho)];
  return Float64Array.from({ length: steps + 1 }, (_, i) =>
    i === steps ? 0 : (from + (i / (steps - 1)) * (to - from)) ** rho,
  );
}

/** Karras et al. 2022, algorithm 2: Heun in σ, noise added before a step where `churn` asks for it. */
export async function edmHeun(
  denoise: Denoiser,
  x: Tensor,
  sigmas: ArrayLike<number>,
  churn?: Churn,
  hooks?: SamplerHooks,
): Promise<Tensor> {
  const steps = sigmas.length - 1;
  let draws = 0;
  return await march(
    x,
    sigmas,
    (state, sigma, next) => {
      let [from, at] = [state, sigma];
      if (churn && sigma >= churn.min && sigma <= churn.max) {
        at = sigma * (1 + Math.min(churn.amount / steps, Math.SQRT2 - 1));
        from = state.add(churn.noise(draws++).mul(churn.scale * Math.sqrt(at ** 2 - sigma ** 2)));
      }
      const slope = (y: Tensor, level: number): Tensor => y.sub(denoise(y, level, sigma)).div(level);
      const k1 = slope(from, at);
      const euler = from.add(k1.mul(next - at));
      if (next === 0) return euler;
      return from.add(k1.add(slope(euler, next)).mul((next - at) / 2));
    },
    hooks,
  );
}
