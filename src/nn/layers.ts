import { matMul, tf, type Tensor } from '../engine/index.js';
import type { Params } from './params.js';

/** x [..., in] → x Wᵀ + b [..., out]; weight [out, in] as PyTorch stores it, bias where there is one. */
export function linear(params: Params, x: Tensor): Tensor {
  const y = matMul(x, params.weight, { transposeB: true });
  return 'bias' in params ? y.add(params.bias) : y;
}

/**
 * Layer normalisation over the last axis (Ba et al. 2016): weight and bias [c] where the layer has them, the bare
 * normalisation where `params` is undefined or empty. x [..., c].
 */
export function layerNorm(params: Params | undefined, x: Tensor, eps = 1e-6): Tensor {
  if (params === undefined || !('weight' in params)) return bareNorm(eps)(x);
  const { weight } = params;
  return affineNorm(eps)(x, weight, 'bias' in params ? params.bias : tf.zerosLike(weight));
}

type Save = (saved: Tensor[]) => void;

/** Sum over all axes but the last. */
function columnSum(x: Tensor): Tensor {
  return x.reshape([-1, x.shape[x.rank - 1]]).sum(0);
}

/** The normalised x and the reciprocal standard deviations [..., 1]. */
function normalise(x: Tensor, eps: number): [normal: Tensor, scale: Tensor] {
  const mean = x.mean(-1, true);
  const centred = x.sub(mean);
  const scale = centred.square().mean(-1, true).add(eps).rsqrt();
  return [centred.mul(scale), scale];
}

/** Gradient with respect to the input of y = normal(x), from dy, y and the scale: (dy − ⟨dy⟩ − y⟨dy y⟩) / σ. */
function normGradient(dy: Tensor, normal: Tensor, scale: Tensor): Tensor {
  const projection = dy.mul(normal).mean(-1, true);
  return dy.sub(dy.mean(-1, true)).sub(normal.mul(projection)).mul(scale);
}

const bareNorm = memoised(eps =>
  tf.customGrad((x, save) => {
    const [normal, scale] = normalise(x as Tensor, eps);
    (save as Save)([normal, scale]);
    return { value: normal, gradFunc: (dy: Tensor, saved: Tensor[]) => normGradient(dy, saved[0], saved[1]) };
  }),
);

const affineNorm = memoised(eps =>
  tf.customGrad((x, weight, bias, save) => {
    const [normal, scale] = normalise(x as Tensor, eps);
    (save as unknown as Save)([normal, scale, weight as Tensor]);
    return {
      value: normal.mul(weight as Tensor).add(bias as Tensor),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [y, s, w] = saved;
        return [normGradient(dy.mul(w), y, s), columnSum(dy.mul(y)), columnSum(dy)];
      },
    };
  }),
);

/** Root-mean-square normalisation over the last axis (Zhang & Sennrich 2019). x [..., c], weight [c]. */
export function rmsNorm({ weight }: Params, x: Tensor, eps = 1e-6): Tensor {
  return scaledRms(eps)(x, weight);
}

const scaledRms = memoised(eps =>
  tf.customGrad((x, weight, save) => {
    const input = x as Tensor;
    const scale = input.square().mean(-1, true).add(eps).rsqrt();
    const normal = input.mul(scale);
    (save as unknown as Save)([normal, scale, weight as Tensor]);
    return {
      value: normal.mul(weight as Tensor),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [y, s, w] = saved;
        const inner = dy.mul(w);
        const projection = inner.mul(y).mean(-1, true);
        return [inner.sub(y.mul(projection)).mul(s), columnSum(dy.mul(y))];
      },
    };
  }),
);

/** One function per epsilon: a custom gradient is built once, not at each call. */
function memoised<T>(make: (eps: number) => T): (eps: number) => T {
  const made = new Map<number, T>();
  return eps => {
    const known = made.get(eps) ?? make(eps);
    made.set(eps, known);
    return known;
  };
}
