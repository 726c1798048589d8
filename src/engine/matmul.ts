import { tf, type Tensor } from './tf.js';

export interface MatMulOptions {
  transposeA?: boolean;
  transposeB?: boolean;
}

/**
 * a [..., m, k] · b [k, n] or [..., k, n] → [..., m, n]. A two-dimensional `b` is shared by all leading axes of `a`:
 * these are folded into rows, because TensorFlow.js's own broadcasting matMul throws in its gradient (seen in 4.22).
 */
export function matMul(a: Tensor, b: Tensor, { transposeA = false, transposeB = false }: MatMulOptions = {}): Tensor {
  if (b.rank === 2 && a.rank > 2 && !transposeA) {
    const rows = a.reshape([-1, a.shape[a.rank - 1]]);
    const product: Tensor = tf.matMul(rows, b, false, transposeB);
    return product.reshape([...(a.shape as number[]).slice(0, -1), (b.shape as number[])[transposeB ? 0 : 1]]);
  }
  return tf.matMul(a, b, transposeA, transposeB);
}
