import type { TensorInfo } from '@tensorflow/tfjs';
import { kernelOf, replaceKernel, type Kernel } from './kernel-registry.js';
import { splitLongSums } from './long-sums.js';
import { tf } from './tf.js';
import { addressIn, wasmBackend, type WasmBackend } from './wasm-backend.js';
import { openElements, type ElementFunction } from './wasm-elements.js';
import { openProduct, scratchBytes } from './wasm-product.js';
import { openThreads } from './wasm-threads.js';
import { openSum } from './wasm-sum.js';
import { openUpdates } from './wasm-updates.js';

/*
 * Kernels of TensorFlow.js 4.22 for WebAssembly that take several times longer than they need, as training sees them, or
 * whose results are off where many numbers meet.
 */

type WasmKernel = Kernel<WasmBackend>;

/** Replaces the slow or inaccurate kernels. */
export function fixWasmKernels(): void {
  const { wasm } = wasmBackend()!;
  const improve = (name: string, better: (kernel: WasmKernel) => WasmKernel): void =>
    replaceKernel(name, 'wasm', better(kernelOf(name, 'wasm')));
  const sum = openSum(wasm.asm.memory);
  const elements = openElements(wasm.asm.memory);
  openUpdates(elements);
  improve('Erf', kernel => fastFunction(kernel, elements.erf));
  improve('Exp', kernel => fastFunction(kernel, elements.exp));
  improve('Sigmoid', kernel => fastFunction(kernel, elements.sigmoid));
  improve('Identity', () => sharedIdentity);
  improve('Tile', fastTile);
  improve('Transpose', fastTranspose);
  improve('BatchMatMul', fastMatMul);
  improve('Sum', kernel => exactSum(kernel, sum, () => 1));
  improve('Mean', kernel => exactSum(kernel, sum, count => count));
  splitLongSums('wasm');
}

/** A copy shares its numbers, as on TensorFlow.js's other backends: no kernel changes them. */
const sharedIdentity: WasmKernel = ({ x }, backend) => {
  backend.incRef(x.dataId);
  return { dataId: x.dataId, shape: x.shape, dtype: x.dtype };
};

/** A function of each number. */
function fastFunction(original: WasmKernel, routine: ElementFunction): WasmKernel {
  return ({ x }, backend, attrs) => {
    if (x.dtype !== 'float32') return original({ x }, backend, attrs);
    const y = backend.makeOutput(x.shape, 'float32');
    routine(addressIn(backend, x), addressIn(backend, y), tf.util.sizeFromShape(x.shape));
    return y;
  };
}

/**
 * TensorFlow.js hands single products without transposed operands to XNNPACK and all others to a plain loop; every
 * gradient of a product has a transposed operand, and attention's products are batches. All float32 ones are ours.
 */
function fastMatMul(matMul: WasmKernel): WasmKernel {
  const { wasm } = wasmBackend()!;
  const product = openThreads(wasm.asm.memory, openProduct(wasm.asm.memory));
  let scratch = { address: 0, bytes: 0 };
  const scratchOf = (bytes: number): number => {
    if (scratch.bytes < bytes) {
      wasm._free(scratch.address);
      const address = wasm._malloc(bytes);
      scratch = { address, bytes: address === 0 ? 0 : bytes };
      if (address === 0) throw new Error('the memory of WebAssembly is full');
    }
    return scratch.address;
  };
  return ({ a, b }, backend, attrs) => {
    const { transposeA, transposeB } = attrs as { transposeA: boolean; transposeB: boolean };
    const [left, right] = [matrices(a, transposeA), matrices(b, !transposeB)];
    const { inner: k, outer: m } = left;
    const n = right.outer;
    const bytes = scratchBytes({ m, n, k });
    const outer = tf.backend_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
    const batch = tf.util.sizeFromShape(outer);
    const ours =
      [a, b].every(({ dtype }) => dtype === 'float32') &&
      [left, right].every(one => one.inner === k && (one.batch === 1 || one.batch === batch)) &&
      batch * m * n * k > 0;
    if (!ours || bytes > MOST_SCRATCH) return matMul({ a, b }, backend, attrs);
    const room = scratchOf(bytes);
    const c = backend.makeOutput([...outer, m, n], 'float32');
    product({
      a: addressIn(backend, a),
      b: addressIn(backend, b),
      c: addressIn(backend, c),
      m,
      n,
      k,
      batch,
      scratch: room,
      aRow: left.outerStep,
      aDepth: left.innerStep,
      aBatch: left.batch > 1 ? 4 * m * k : 0,
      bColumn: right.outerStep,
      bDepth: right.innerStep,
      bBatch: right.batch > 1 ? 4 * n * k : 0,
    });
    return c;
  };
}

/** Packed copies that are kept for the next product; matrices beyond that go TensorFlow.js's way. */
const MOST_SCRATCH = 2 ** 27;

/** [..., outer, inner], or with the last two the other way about; steps in bytes. */
function matrices({ shape }: TensorInfo, innerFirst: boolean) {
  const [rows, columns] = shape.slice(-2);
  const batch = tf.util.sizeFromShape(shape.slice(0, -2));
  return innerFirst
    ? { batch, inner: rows, outer: columns, innerStep: 4 * columns, outerStep: 4 }
    : { batch, inner: columns, outer: rows, innerStep: 4, outerStep: 4 * columns };
}

/** Five axes and more go one number at a time: axes are moved to their places one by one, as swaps of four merged axes. */
function fastTranspose(transpose: WasmKernel): WasmKernel {
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

/** Number by number, and slowly, too. */
function fastTile(tile: WasmKernel): WasmKernel {
  return ({ x }, backend, attrs) => {
    const { reps } = attrs as { reps: number[] };
    if (x.dtype === 'string' || reps.length !== x.shape.length) return tile({ x }, backend, attrs);
    const bytes = tf.util.bytesPerElement(x.dtype);
    let current = x;
    for (let axis = reps.length - 1; axis >= 0; axis--) {
      if (reps[axis] === 1) continue;
      const shape = current.shape.map((side, i) => (i === axis ? side * reps[axis] : side));
      const next = backend.makeOutput(shape, x.dtype);
      const { buffer } = backend.wasm.asm.memory;
      const numbers = bytes === 4 ? new Uint32Array(buffer) : new Uint8Array(buffer);
      const block = tf.util.sizeFromShape(current.shape.slice(axis));
      const blocks = tf.util.sizeFromShape(shape.slice(0, axis));
      const [from, to] = [addressIn(backend, current) / bytes, addressIn(backend, next) / bytes];
      for (let i = 0; i < blocks; i++)
        repeat(numbers, { from: from + i * block, to: to + i * block * reps[axis], count: block, times: reps[axis] });
      if (current !== x) backend.disposeData(current.dataId);
      current = next;
    }
    return current === x ? sharedIdentity({ x }, backend, {}) : current;
  };
}

/** Below, copying number by number is faster than calling for it. */
const SHORT = 32;

/** Copies `count` numbers so many times; long runs by what is there already, twice as much each time. */
function repeat(
  numbers: Uint32Array | Uint8Array,
  { from, to, count, times }: Record<'from' | 'to' | 'count' | 'times', number>,
): void {
  const end = to + count * times;
  if (end - to < SHORT) {
    for (let at = to; at < end; at++) numbers[at] = numbers[at < to + count ? from + at - to : at - count];
    return;
  }
  numbers.copyWithin(to, from, from + count);
  for (let filled = to + count; filled < end; filled += filled - to)
    numbers.copyWithin(filled, to, Math.min(filled, to + end - filled));
}

/** Neighbouring axes are summed over at once, from the last to the first; nothing is transposed. */
function exactSum(
  original: WasmKernel,
  sum: ReturnType<typeof openSum>,
  divisorOf: (count: number) => number,
): WasmKernel {
  return ({ x }, backend, attrs) => {
    const { axis, keepDims } = attrs as { axis: number | number[] | null; keepDims: boolean };
    const axes = tf.util.parseAxisParam(axis as number[], x.shape);
    if (x.dtype !== 'float32' || axes.length === 0 || tf.util.sizeFromShape(x.shape) === 0)
      return original({ x }, backend, attrs);
    let current = x;
    for (const [first, end] of runs(axes)) {
      const size = (from: number, to?: number): number => tf.util.sizeFromShape(current.shape.slice(from, to));
      const [outer, inner, after] = [size(0, first), size(first, end), size(end)];
      const shape = current.shape.map((side, i) => (i >= first && i < end ? 1 : side));
      const summed = backend.makeOutput(shape, 'float32');
      const [from, to] = [addressIn(backend, current), addressIn(backend, summed)];
      sum({ from, to, outer, inner, after, divisor: divisorOf(inner) });
      if (current !== x) backend.disposeData(current.dataId);
      current = summed;
    }
    return keepDims ? current : { ...current, shape: current.shape.filter((_, i) => !axes.includes(i)) };
  };
}

/** Neighbouring axes as ranges, the last first: 0, 2, 3 → [2, 4), [0, 1). */
function runs(axes: number[]): [first: number, end: number][] {
  const found: [number, number][] = [];
  for (const axis of [...axes].sort((a, b) => b - a)) {
    const last = found.at(-1);
    if (last?.[0] === axis + 1) last[0] = axis;
    else found.push([axis, axis + 1]);
  }
  return found;
}
