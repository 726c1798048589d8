import type { TensorInfo } from '@tensorflow/tfjs';
import { hasTiles } from './compiled.js';
import { kernelOf, replaceKernel, type Backend } from './kernel-registry.js';
import { runOp, type NativeDType, type OpAttributes } from './native.js';
import type { Tensor } from './tf.js';

/* Products of matrices in the processor's tiles (native/matrix-product.cc), where it has them. */

export interface TurnOptions {
  transposeA: boolean;
  transposeB: boolean;
}

/** Multiplications of a product below which its panels take longer than they save. */
const WORTH_TILES = 2 ** 18;
/** Rows, columns and depth of matrices that fill a good part of a tile. */
const NARROWEST = 8;

/** Whether a [..., m, k] · b [..., k, n] is better multiplied in tiles; leading axes must be equal. */
export function suitsTiles(a: TensorInfo, b: TensorInfo, { transposeA, transposeB }: TurnOptions): boolean {
  if (!hasTiles() || a.shape.length !== b.shape.length) return false;
  const count = a.shape.slice(0, -2).reduce((product, side) => product * side, 1);
  if (!a.shape.slice(0, -2).every((side, axis) => side === b.shape[axis])) return false;
  const [m, k] = transposeA ? a.shape.slice(-2).reverse() : a.shape.slice(-2);
  const n = b.shape[b.shape.length - (transposeB ? 2 : 1)];
  return Math.min(m, k, n) >= NARROWEST && count * m * k * n >= WORTH_TILES;
}

export interface TiledTypes {
  a: NativeDType;
  b: NativeDType;
  out: NativeDType;
}

export interface TiledOptions extends TurnOptions {
  /** Float32 operands are rounded to bfloat16 first. */
  rounded?: boolean;
  /** A third input is added to every row. */
  bias?: boolean;
}

/** Attributes of the op `MaetokMatrixProduct`. */
export const tiledAttributes = (
  { a, b, out }: TiledTypes,
  { transposeA, transposeB, rounded = false, bias = false }: TiledOptions,
): OpAttributes => ({
  T: { type: a },
  U: { type: b },
  Tout: { type: out },
  N: { int: Number(bias) },
  turn_a: { int: Number(transposeA) },
  turn_b: { int: Number(transposeB) },
  rounded: { int: Number(rounded) },
});

const SINGLE: TiledTypes = { a: 'float32', b: 'float32', out: 'float32' };

/** Lets TensorFlow.js's own product of matrices, and those of its gradients, use tiles. */
export function multiplyInTiles(): void {
  const former = kernelOf('BatchMatMul', 'tensorflow');
  replaceKernel<Backend>('BatchMatMul', 'tensorflow', ({ a, b }, backend, attrs) => {
    const turns = attrs as TurnOptions;
    const single = a.dtype === 'float32' && b.dtype === 'float32';
    if (!single || !suitsTiles(a, b, turns)) return former({ a, b }, backend, attrs);
    return runOp('MaetokMatrixProduct', [a, b] as unknown as Tensor[], tiledAttributes(SINGLE, turns))[0];
  });
}
