import { tf, type Tensor, type Tensor2D, type Tensor4D } from '../engine/index.js';
/*
 * Resizing as two products with small matrices, the same on every engine, and its gradient the products with their
 * transposes. The gradient of TensorFlow.js's own resizing (4.22) forgets that pixels have their centres at halves.
 */

/** Weights of one axis, [to, from] row-major. */
export type AxisWeights = (from: number, to: number) => Float32Array;

/** images [n, h, w, c] → [n, height, width, c], in float32 whatever the precision of other products. */
export function resample(images: Tensor4D, height: number, width: number, weights: AxisWeights): Tensor4D {
  const [n, h, w, c] = images.shape;
  return tf.tidy(() => {
    const rows = tf.tensor2d(weights(h, height), [height, h]);
    const columns = tf.tensor2d(weights(w, width), [width, w]);
    const tall = alongLast(tf.transpose(images, [0, 2, 3, 1]), rows); // [n, w, c, height]
    const wide = alongLast(tf.transpose(tall, [0, 3, 2, 1]), columns); // [n, height, c, width]
    return tf.transpose(wide, [0, 1, 3, 2]).reshape([n, height, width, c]);
  });
}

/** x [..., from] · weightsᵀ → [..., to]. */
function alongLast(x: Tensor, weights: Tensor2D): Tensor {
  const [to, from] = weights.shape;
  const product = tf.matMul(x.reshape<Tensor2D>([-1, from]), weights, false, true);
  return product.reshape([...x.shape.slice(0, -1), to]);
}

/** Between the two nearest pixels, half-pixel centres, edges repeated, no antialiasing, as PyTorch interpolates. */
export const bilinear: AxisWeights = (from, to) => {
  const weights = new Float32Array(to * from);
  for (let i = 0; i < to; i++) {
    const centre = Math.max(0, ((i + 0.5) * from) / to - 0.5);
    const first = Math.floor(centre);
    weights[i * from + first] += 1 - (centre - first);
    weights[i * from + Math.min(from - 1, first + 1)] += centre - first;
  }
  return weights;
};

/** Keys' cubic kernel with a = −0.75, half-pixel centres, edges repeated, no antialiasing, as PyTorch interpolates. */
export const bicubic: AxisWeights = (from, to) => bicubicBy((before, after) => after / before)(from, to);

/** `bicubic` at a scale that need not be that of the sides, as PyTorch interpolates where it is given a scale. */
export const bicubicBy =
  (scale: (from: number, to: number) => number): AxisWeights =>
  (from, to) => {
    const weights = new Float32Array(to * from);
    for (let i = 0; i < to; i++) {
      const centre = (i + 0.5) / scale(from, to) - 0.5;
      const first = Math.floor(centre) - 1;
      for (let tap = first; tap < first + 4; tap++) {
        const at = Math.min(from - 1, Math.max(0, tap));
        weights[i * from + at] += cubic(centre - tap, -0.75);
      }
    }
    return weights;
  };

function cubic(distance: number, a: number): number {
  const d = Math.abs(distance);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? ((d - 5) * d + 8) * d * a - 4 * a : 0;
}

/** A kernel widened where an axis shrinks and cut off at the edges, as Pillow and PyTorch's antialiasing resize. */
const antialiased =
  (kernel: (distance: number) => number, reach: number): AxisWeights =>
  (from, to) => {
    const weights = new Float32Array(to * from);
    const widened = Math.max(1, from / to);
    for (let i = 0; i < to; i++) {
      const centre = ((i + 0.5) * from) / to;
      const start = Math.max(0, Math.trunc(centre - reach * widened + 0.5));
      const end = Math.min(from, Math.trunc(centre + reach * widened + 0.5));
      const taps = Array.from({ length: end - start }, (_, tap) => kernel((start + tap - centre + 0.5) / widened));
      const sum = taps.reduce((a, b) => a + b, 0);
      weights.set(
        taps.map(tap => tap / sum),
        i * from + start,
      );
    }
    return weights;
  };

/** Keys' cubic kernel with a = −0.5. */
export const bicubicAntialiased = antialiased(distance => cubic(distance, -0.5), 2);

export const bilinearAntialiased = antialiased(distance => Math.max(0, 1 - Math.abs(distance)), 1);

/** Means over the pixels that an output touches (PyTorch's `area`). */
export const area: AxisWeights = (from, to) => {
  const weights = new Float32Array(to * from);
  for (let i = 0; i < to; i++) {
    const start = Math.floor((i * from) / to);
    const end = Math.ceil(((i + 1) * from) / to);
    weights.fill(1 / (end - start), i * from + start, i * from + end);
  }
  return weights;
};
