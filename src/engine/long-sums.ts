import { kernelOf, replaceKernel, type Kernel } from './kernel-registry.js';
import { tf, type Tensor, type Tensor4D } from './tf.js';
/*
 * Some kernels under TensorFlow.js 4.22 keep one float32 total per result, which is off by a thousandth where a few hundred
 * thousand like numbers meet: gradients of filters and biases, statistics of large batches. They are given parts, and
 * the parts' results are added in pairs. Within a kernel TensorFlow.js records no gradient of what is called.
 */

/** Terms in one total. */
const MOST_TERMS = 2 ** 13;

/** Which kernels of which backend need it; a GPU adds in pairs by itself. */
const SPLIT: Record<'wasm' | 'cpu' | 'tensorflow', Record<string, (kernel: Kernel) => Kernel>> = {
  wasm: { BatchMatMul: splitMatMul, Conv2D: splitConvolution },
  cpu: { BatchMatMul: splitMatMul, Conv2D: splitConvolution },
  tensorflow: {
    Sum: kernel => splitColumns(kernel, tf.sum),
    Mean: kernel => splitColumns(kernel, tf.mean),
    Conv2D: splitConvolution,
  },
};

export function splitLongSums(backendName: keyof typeof SPLIT): void {
  for (const [name, split] of Object.entries(SPLIT[backendName]))
    replaceKernel(name, backendName, split(kernelOf(name, backendName)));
}

function splitMatMul(matMul: Kernel): Kernel {
  return (inputs, backend, attrs) => {
    const { a, b } = inputs as unknown as Record<string, Tensor>;
    const { transposeA, transposeB } = attrs as { transposeA: boolean; transposeB: boolean };
    const [axisA, axisB] = [a.shape.length - (transposeA ? 2 : 1), b.shape.length - (transposeB ? 1 : 2)];
    const depth = a.shape[axisA];
    if (depth <= MOST_TERMS || b.shape[axisB] !== depth) return matMul(inputs, backend, attrs);
    return inPairs(0, depth, MOST_TERMS, (from, to) =>
      tf.matMul(along(a, axisA, from, to), along(b, axisB, from, to), transposeA, transposeB),
    );
  };
}

interface Convolution {
  pad: unknown;
  dilations: number | [number, number];
  strides: number | [number, number];
}

/** By rows of the filter, each of which sees the image shifted down; also faster where the filter is a gradient's. */
function splitConvolution(convolve: Kernel): Kernel {
  return (inputs, backend, attrs) => {
    const { x, filter } = inputs as unknown as Record<string, Tensor4D>;
    const { pad, dilations, strides } = attrs as Convolution;
    const [rows, columns, channels] = filter.shape;
    if (pad !== 'valid' || rows === 1 || rows * columns * channels <= MOST_TERMS)
      return convolve(inputs, backend, attrs);
    const [apart, stride] = [dilations, strides].map(both => (typeof both === 'number' ? both : both[0]));
    const outputs = Math.floor((x.shape[1] - apart * (rows - 1) - 1) / stride) + 1;
    const most = Math.max(1, Math.floor(MOST_TERMS / (columns * channels)));
    return inPairs(0, rows, most, (from, to) => {
      const seen = (outputs - 1) * stride + apart * (to - from - 1) + 1;
      const image = along(x, 1, from * apart, from * apart + seen);
      return tf.conv2d(image, along(filter, 0, from, to), strides, 'valid', 'NHWC', dilations);
    });
  };
}

/** Long runs of axes before the last as two axes, summed over one after the other, which is also faster. */
function splitColumns(sum: Kernel, over: typeof tf.sum): Kernel {
  return (inputs, backend, attrs) => {
    const { x } = inputs as unknown as Record<string, Tensor>;
    const { axis, keepDims } = attrs as { axis: number | number[]; keepDims: boolean };
    const axes = tf.util.parseAxisParam(axis, x.shape).sort((a, b) => a - b);
    const [first, end] = [axes[0], axes[0] + axes.length];
    const size = (from: number, to?: number): number => tf.util.sizeFromShape(x.shape.slice(from, to));
    const isRun = axes.length > 0 && axes.at(-1) === end - 1 && end < x.shape.length;
    const parts = isRun && x.dtype === 'float32' ? divisorNearRoot(size(first, end)) : 1;
    if (parts === 1 || size(first, end) <= MOST_TERMS) return sum(inputs, backend, attrs);
    const shape = x.shape.flatMap((side, i) => (i >= first && i < end ? (keepDims ? [1] : []) : [side]));
    return tf.tidy(() => over(over(x.reshape([size(0, first), parts, -1, size(end)]), 2), 1).reshape(shape));
  };
}

/** The largest divisor up to the square root. */
function divisorNearRoot(size: number): number {
  let divisor = Math.floor(Math.sqrt(size));
  while (divisor > 1 && size % divisor !== 0) divisor--;
  return Math.max(1, divisor);
}

/** Σ of `part` over the range, at most `most` at once; of halves, so that rounding errors grow with the logarithm. */
function inPairs(from: number, to: number, most: number, part: (from: number, to: number) => Tensor): Tensor {
  if (to - from <= most) return tf.tidy(() => part(from, to));
  const middle = from + most * Math.ceil((to - from) / most / 2);
  return tf.tidy(() => inPairs(from, middle, most, part).add(inPairs(middle, to, most, part)));
}

/** x from `from` to `to` along one axis. */
function along<T extends Tensor>(x: T, axis: number, from: number, to: number): T {
  const begin = x.shape.map((_, i) => (i === axis ? from : 0));
  const size = x.shape.map((side, i) => (i === axis ? to - from : side));
  return tf.slice(x, begin, size);
}
