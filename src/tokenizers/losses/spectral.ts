import { matMul, tf, type Tensor } from '../../engine/index.js';
import { differentiable, prefixed, under, type Params } from '../../nn/index.js';

export interface SpectralWeight {
  weight: Tensor;
  /** New `weight_u` and `weight_v`, in training. */
  buffers: Params;
}

const EPS = 1e-12;

/**
 * A weight divided by its largest singular value σ = uᵀ W v (Miyato et al. 2018), kept as PyTorch does: `weight_orig`
 * [out, …] and the vectors `weight_u`, `weight_v`, which training moves by one power iteration. No gradient flows
 * through the vectors.
 */
export function spectralWeight(params: Params, train: boolean): SpectralWeight {
  const original = params.weight_orig;
  const matrix = original.reshape([original.shape[0], -1]);
  const { u, v } = train ? iterated(params, matrix) : { u: params.weight_u, v: params.weight_v };
  const sigma = matMul(u.reshape([1, -1]), matMul(matrix, v.reshape([-1, 1]))).reshape([]);
  return { weight: original.div(sigma), buffers: train ? { weight_u: u, weight_v: v } : {} };
}

/** The vectors of every weight among `params` after so many further iterations, by their keys. */
export function furtherIterated(params: Params, times: number): Params {
  const ending = '.weight_orig';
  const weights = Object.keys(params).filter(key => key.endsWith(ending));
  return Object.assign(
    {},
    ...weights.map(key => {
      const at = key.slice(0, -ending.length);
      let own = under(params, at);
      for (let i = 0; i < times; i++) own = { ...own, ...spectralWeight(own, true).buffers };
      return prefixed({ weight_u: own.weight_u, weight_v: own.weight_v }, at);
    }),
  ) as Params;
}

/** One power iteration; the vectors are constants to the gradient. */
function iterated(params: Params, matrix: Tensor): { u: Tensor; v: Tensor } {
  const constant = differentiable(
    (m, start) => {
      const v = normalised(matMul(start.reshape([1, -1]), m));
      const u = normalised(matMul(v, m, { transposeB: true }));
      return [tf.concat([u, v], 1).reshape([-1]), m, start];
    },
    (_, m, start) => [tf.zerosLike(m), tf.zerosLike(start)],
  )(matrix, params.weight_u);
  const rows = matrix.shape[0];
  return { u: tf.slice(constant, 0, rows), v: tf.slice(constant, rows) };
}

const normalised = (x: Tensor): Tensor => x.div(tf.maximum(x.square().sum().sqrt(), EPS));
