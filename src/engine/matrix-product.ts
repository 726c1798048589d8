import type { TensorInfo } from '@tensorflow/tfjs';
import { hasOwnProduct } from './compiled.js';
import { kernelOf, replaceKernel, type Backend } from './kernel-registry.js';
import { runOp, type NativeDType, type OpAttributes } from './native.js';
import type { Tensor } from './tf.js';

/* Our own product of matrices (native/matrix-product.cc), where the processor has one. */

export interface TurnOptions {
  transposeA: boolean;
  transposeB: boolean;
}

/** Multiplications of a product below which its panels take longer than they save. */
const WORTH_PACKING = 2 ** 18;
/** Rows, columns and depth of matrices that fill a good part of a panel. */
const NARROWEST = 8;

/** Whether a [..., m, k] · b [..., k, n] is better multiplied by our own product; leading axes must be equal. */
export function suitsOwnProduct(a: TensorInfo, b: TensorInfo, { transposeA, transposeB }: TurnOptions): boolean {
  if (!hasOwnProduct() || a.shape.length !== b.shape.length) return false;
  const count = a.shape.slice(0, -2).reduce((product, side) => product * side, 1);
  if (!a.shape.slice(0, -2).every((side, axis) => side === b.shape[axis])) return false;
  const [m, k] = transposeA ? a.shape.slice(-2).reverse() : a.shape.slice(-2);
  const n = b.shape[b.shape.length - (transposeB ? 2 : 1)];
  return Math.min(m, k, n) >= NARROWEST && count * m * k * n >= WORTH_PACKING;
}

export interface ProductTypes {
  a: NativeDType;
  b: NativeDType;
  out: NativeDType;
}

export interface ProductOptions extends TurnOptions {
  /** Float32 operands are rounded to bfloat16 first. */
  rounded?: boolean;
  /** A third input is added to every row. */
  bias?: boolean;
}

/** Attributes of the op `MaetokMatrixProduct`. */
export const productAttributes = (
  { a, b, out }: ProductTypes,
  { transposeA, transposeB, rounded = false, bias = false }: ProductOptions,
): OpAttributes => ({
  T: { type: a },
  U: { type: b },
  Tout: { type: out },
  N: { int: Number(bias) },
  turn_a: { int: Number(transposeA) },
  turn_b: { int: Number(transposeB) },
  rounded: { int: Number(rounded) },
});

const SINGLE: ProductTypes = { a: 'float32', b: 'float32', out: 'float32' };

/** Puts it in the place of TensorFlow.js's product of matrices, and of those of its gradients. */
export function useOwnProduct(): void {
  const former = kernelOf('BatchMatMul', 'tensorflow');
  replaceKernel<Backend>('BatchMatMul', 'tensorflow', ({ a, b }, backend, attrs) => {
    const turns = attrs as TurnOptions;
    const single = a.dtype === 'float32' && b.dtype === 'float32';
    if (!single || !suitsOwnProduct(a, b, turns)) return former({ a, b }, backend, attrs);
    return runOp('MaetokMatrixProduct', [a, b] as unknown as Tensor[], productAttributes(SINGLE, turns))[0];
  });
}
