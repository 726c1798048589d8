import { bfloat16Product, usesBfloat16 } from './mixed-precision.js';
import { tf, type Tensor } from './tf.js';

export interface MatMulOptions {
  transposeA?: boolean;
  transposeB?: boolean;
}

/**
 * a [..., m, k] · b [..., k, n] → [..., m, n]; a missing or single leading axis of either operand is shared by all of
 * the other's, in the gradient too (TensorFlow.js's own throws there, seen in 4.22). Under `--precision bf16` the
 * product, and both products of its gradient, are computed in bfloat16 with float32 sums.
 */
export function matMul(a: Tensor, b: Tensor, { transposeA = false, transposeB = false }: MatMulOptions = {}): Tensor {
  if (b.rank === 2 && a.rank > 2 && !transposeA) {
    // A weight shared by all leading axes: they are rows of one product.
    const rows = a.reshape([-1, a.shape[a.rank - 1]]);
    const y = sameRankMatMul(rows, b, false, transposeB);
    return y.reshape([...(a.shape as number[]).slice(0, -1), (b.shape as number[])[transposeB ? 0 : 1]]);
  }
  const leading = sharedAxes(a, b);
  return sameRankMatMul(broadcast(a, leading), broadcast(b, leading), transposeA, transposeB);
}

/** Operands of one rank with equal leading axes. */
function sameRankMatMul(a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): Tensor {
  return usesBfloat16(a, b) ? bfloat16Product(a, b, transposeA, transposeB) : tf.matMul(a, b, transposeA, transposeB);
}

function sharedAxes(a: Tensor, b: Tensor): number[] {
  return tf.backend_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
}

function broadcast(x: Tensor, leading: number[]): Tensor {
  const shape = [...leading, ...x.shape.slice(-2)];
  return tf.util.arraysEqual(shape, x.shape) ? x : tf.broadcastTo(x, shape);
}
