import { suitsWinograd, tf, winograd, type Tensor, type Tensor3D, type Tensor4D } from '../engine/index.js';
import { differentiable } from './differentiable.js';

/** Zeros around an image: [top, bottom, left, right]. */
export type Margins = [top: number, bottom: number, left: number, right: number];

/** TensorFlow's rule: as many outputs as strides fit, an odd zero goes to the bottom and right. */
export function sameMargins(x: Tensor, height: number, width: number, stride: number): Margins {
  const along = (side: number, kernel: number): [number, number] => {
    const total = Math.max(0, (Math.ceil(side / stride) - 1) * stride + kernel - side);
    return [Math.floor(total / 2), Math.ceil(total / 2)];
  };
  return [...along(x.shape[1]!, height), ...along(x.shape[2]!, width)];
}

/** The image with its margins, or as it is where the kernel adds the same ones. */
export function padded(
  x: Tensor,
  height: number,
  width: number,
  stride: number,
  around: Margins,
): [image: Tensor4D, mode: 'same' | 'valid'] {
  if (around.join() === sameMargins(x, height, width, stride).join()) return [x as Tensor4D, 'same'];
  return [withMargins(x, around), 'valid'];
}

function withMargins(x: Tensor, [top, bottom, left, right]: Margins): Tensor4D {
  if (top + bottom + left + right === 0) return x as Tensor4D;
  return tf.pad4d(x as Tensor4D, [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ]);
}

/**
 * Convolution with filters [kh, kw, in, out], plus a bias [out] or [0]. The gradients of image and filters are
 * convolutions again: WASM has no kernel for the one and a slow one for the other, and on the native engine too these
 * are the faster way.
 */
export function convolve(x: Tensor, filters: Tensor, bias: Tensor, stride: number, around: Margins): Tensor4D {
  return differentiable(
    (image, kernel, shift) => [correlate(image, kernel, shift, stride, around), image, kernel, shift],
    (dy, image, kernel, shift) => [
      inputGradient(dy as Tensor4D, kernel as Tensor4D, image.shape as Shape4D, stride, around),
      filterGradient(dy as Tensor4D, image, kernel.shape as Shape4D, stride, around),
      shift.size > 0 ? dy.sum([0, 1, 2]) : shift.clone(),
    ],
  )(x, filters, bias) as Tensor4D;
}

function correlate(x: Tensor, filters: Tensor, bias: Tensor, stride: number, around: Margins): Tensor4D {
  if (suitsWinograd(filters, stride)) return winograd(x, filters, bias, around);
  const [height, width] = filters.shape as [number, number];
  const [image, mode] = padded(x, height, width, stride, around);
  const y = tf.conv2d(image, filters as Tensor4D, stride, mode);
  return bias.size > 0 ? y.add(bias) : y;
}

type Shape4D = [number, number, number, number];

/** Every output spreads over its neighbourhood: dy, spaced out by the stride, convolved with the mirrored filters. */
function inputGradient(
  dy: Tensor4D,
  filters: Tensor4D,
  [n, h, w, c]: Shape4D,
  stride: number,
  [top, bottom, left, right]: Margins,
): Tensor4D {
  const [kh, kw] = filters.shape;
  const spaced = dilated(dy, stride);
  const around: Margins = [kh - 1, h + top + bottom - spaced.shape[1], kw - 1, w + left + right - spaced.shape[2]];
  const mirrored = tf.transpose(tf.reverse(filters, [0, 1]), [0, 1, 3, 2]);
  const whole = correlate(spaced, mirrored, tf.zeros([0]), 1, around);
  return tf.slice4d(whole, [0, top, left, 0], [n, h, w, c]);
}

/** dy with stride − 1 zeros between neighbours. */
function dilated(dy: Tensor4D, stride: number): Tensor4D {
  if (stride === 1) return dy;
  const [n, h, w, c] = dy.shape;
  const gap: [[number, number], [number, number], [number, number]] = [
    [0, 0],
    [0, stride - 1],
    [0, 0],
  ];
  const rows = tf.pad3d(dy.reshape([n * h, 1, w * c]), gap).reshape([n * h * stride * w, 1, c]);
  const columns = tf.pad3d(rows as Tensor3D, gap).reshape([n, h * stride, w * stride, c]);
  return tf.slice4d(columns as Tensor4D, [0, 0, 0, 0], [n, (h - 1) * stride + 1, (w - 1) * stride + 1, c]);
}

/** The image correlated with dy: channels stand for the batch, the batch is summed over like channels. */
function filterGradient(
  dy: Tensor4D,
  x: Tensor,
  [kh, kw, inputs, out]: Shape4D,
  stride: number,
  around: Margins,
): Tensor4D {
  const image = tf.transpose(withMargins(x, around), [3, 1, 2, 0]);
  const kernel = tf.transpose(dy, [1, 2, 0, 3]);
  const correlated = tf.conv2d(image, kernel, 1, 'valid', 'NHWC', stride);
  return tf.transpose(tf.slice4d(correlated, [0, 0, 0, 0], [inputs, kh, kw, out]), [1, 2, 0, 3]);
}
