import type { TensorInfo } from '@tensorflow/tfjs';
import { tf } from './tf.js';

/*
 * Two kernels of TensorFlow.js 4.22 for WebAssembly that are ten times slower than they need be, as training sees them.
 */

interface Backend {
  disposeData(dataId: object): boolean;
}
type Kernel = (inputs: Record<string, TensorInfo>, backend: Backend, attrs: object) => TensorInfo;

/** Puts the faster ways in their places. */
export function hastenWasm(): void {
  const transpose = fastTranspose(kernelOf('Transpose'));
  const multiply = fastMultiply(kernelOf('BatchMatMul'), transpose);
  replace('Transpose', transpose);
  replace('BatchMatMul', multiply);
}

function kernelOf(name: string): Kernel {
  const { kernelFunc } = tf.getKernel(name, 'wasm');
  return (inputs, backend, attrs) => kernelFunc({ inputs, backend, attrs: attrs as never }) as TensorInfo;
}

function replace(kernelName: string, kernel: Kernel): void {
  tf.unregisterKernel(kernelName, 'wasm');
  tf.registerKernel({
    kernelName,
    backendName: 'wasm',
    kernelFunc: ({ inputs, backend, attrs }) =>
      kernel(inputs as Record<string, TensorInfo>, backend as Backend, attrs ?? {}),
  });
}

/**
 * XNNPACK multiplies only where neither operand is transposed, a plain loop does all else; and every gradient of a
 * product has a transposed operand. So operands of single matrices are transposed first: where that is less to move,
 * aᵀ b as (bᵀ a)ᵀ.
 */
function fastMultiply(multiply: Kernel, transpose: Kernel): Kernel {
  return ({ a, b }, backend, attrs) => {
    const { transposeA, transposeB } = attrs as { transposeA: boolean; transposeB: boolean };
    if ((!transposeA && !transposeB) || a.shape.length > 2 || b.shape.length > 2)
      return multiply({ a, b }, backend, attrs);
    const turned = (x: TensorInfo): TensorInfo => transpose({ x }, backend, { perm: [1, 0] });
    const times = (x: TensorInfo, y: TensorInfo): TensorInfo =>
      multiply({ a: x, b: y }, backend, { transposeA: false, transposeB: false });
    const dispose = (...made: TensorInfo[]): void => made.forEach(({ dataId }) => backend.disposeData(dataId));
    const [inner, m] = a.shape;
    if (transposeA && !transposeB && b.shape[1] * (inner + m) < inner * m) {
      const bT = turned(b);
      const product = times(bT, a);
      const result = turned(product);
      dispose(bT, product);
      return result;
    }
    const x = transposeA ? turned(a) : a;
    const y = transposeB ? turned(b) : b;
    const result = times(x, y);
    dispose(...[x, y].filter(operand => operand !== a && operand !== b));
    return result;
  };
}

/** Five axes and more go one number at a time: axes are moved to their places one by one, as swaps of four merged axes. */
function fastTranspose(transpose: Kernel): Kernel {
  return ({ x }, backend, attrs) => {
    const { perm } = attrs as { perm: number[] };
    if (perm.length < 5) return transpose({ x }, backend, attrs);
    let order = perm.map((_, axis) => axis);
    let current = x;
    perm.forEach((axis, place) => {
      const from = order.indexOf(axis);
      if (from === place && !(place === perm.length - 1 && current === x)) return;
      const sides = order.map(each => x.shape[each]);
      const size = (first: number, end: number): number => tf.util.sizeFromShape(sides.slice(first, end));
      const merged = [size(0, place), size(place, from), sides[from], size(from + 1, sides.length)];
      const moved = transpose({ x: { ...current, shape: merged } }, backend, { perm: [0, 2, 1, 3] });
      if (current !== x) backend.disposeData(current.dataId);
      order = [...order.slice(0, place), axis, ...order.slice(place, from), ...order.slice(from + 1)];
      current = moved;
    });
    return { ...current, shape: perm.map(axis => x.shape[axis]) };
  };
}
