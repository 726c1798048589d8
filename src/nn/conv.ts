import { matMul, tf, type Tensor, type Tensor4D } from '../engine/index.js';
import { convolve, padded, sameMargins, type Margins } from './convolve.js';
import { differentiable } from './differentiable.js';
import type { Params } from './params.js';

/*
 * Convolutions for networks with published PyTorch weights: images are NHWC inside, weights keep PyTorch's layout
 * [out, in / groups, kh, kw] and are transposed per call (a few hundred kilobytes against megabytes of activations).
 */

export interface ConvOptions {
  stride?: number;
  /**
   * Zeros around the image: `same` keeps the size at stride 1 (TensorFlow's rule at larger strides), a number pads
   * each side alike as PyTorch does, four numbers are [top, bottom, left, right].
   */
  padding?: 'same' | number | [number, number, number, number];
}

/** x [n, h, w, in] → [n, h', w', out], bias added where there is one. */
export function conv2d(params: Params, x: Tensor, { stride = 1, padding = 'same' }: ConvOptions = {}): Tensor4D {
  const { weight, bias } = params;
  const [out, inputs, height, width] = weight.shape as [number, number, number, number];
  if (height === 1 && width === 1 && stride === 1) {
    const y = matMul(x, weight.reshape([out, inputs]), { transposeB: true });
    return ('bias' in params ? y.add(bias) : y) as Tensor4D;
  }
  const filters = tf.transpose(weight, [2, 3, 1, 0]);
  const around = margins(padding, x, height, width, stride);
  return convolve(x, filters, 'bias' in params ? bias : tf.zeros([0]), stride, around);
}

/** One filter per channel: weight [c, 1, kh, kw]. */
export function depthwiseConv2d(
  params: Params,
  x: Tensor,
  { stride = 1, padding = 'same' }: ConvOptions = {},
): Tensor4D {
  const { weight, bias } = params;
  const [, , height, width] = weight.shape as [number, number, number, number];
  const [image, mode] = padded(x, height, width, stride, margins(padding, x, height, width, stride));
  const y: Tensor4D = tf.depthwiseConv2d(image, tf.transpose(weight, [2, 3, 0, 1]) as Tensor4D, stride, mode);
  return 'bias' in params ? y.add(bias) : y;
}

function margins(
  padding: NonNullable<ConvOptions['padding']>,
  x: Tensor,
  height: number,
  width: number,
  stride: number,
): Margins {
  if (typeof padding === 'number') return [padding, padding, padding, padding];
  return padding === 'same' ? sameMargins(x, height, width, stride) : padding;
}

/** Batch normalisation with its stored statistics (inference), folded into one scale and one shift. x [..., c]. */
export function batchNorm(params: Params, x: Tensor, eps: number): Tensor {
  return tf.tidy(() => {
    const scale = params.weight.mul(params.running_var.add(eps).rsqrt());
    return x.mul(scale).add(params.bias.sub(params.running_mean.mul(scale)));
  });
}

/** Nearest-neighbour upsampling by two. x [n, h, w, c] → [n, 2h, 2w, c]. */
export function upsample2x(x: Tensor): Tensor4D {
  const [n, h, w, c] = x.shape as [number, number, number, number];
  // Tiling five axes takes WebAssembly a hundred times as long. The gradient is by hand: WebAssembly has none.
  return differentiable(
    image => [tf.image.resizeNearestNeighbor(image as Tensor4D, [2 * h, 2 * w])],
    dy => [
      dy
        .reshape([n * h, 2, w, 2, c])
        .sum([1, 3])
        .reshape([n, h, w, c]),
    ],
  )(x) as Tensor4D;
}

/** PyTorch's pixel shuffle: x [n, h, w, c·r²] → [n, r·h, r·w, c], channel c·r² + i·r + j to offset (i, j). */
export function pixelShuffle(x: Tensor, r: number): Tensor4D {
  const [n, h, w, c] = x.shape as [number, number, number, number];
  return tf.tidy(() => {
    const split = x.reshape([n, h, w, c / (r * r), r, r]);
    return tf.transpose(split, [0, 1, 4, 2, 5, 3]).reshape([n, h * r, w * r, c / (r * r)]);
  });
}

/** The inverse of `pixelShuffle`: x [n, r·h, r·w, c] → [n, h, w, c·r²]. */
export function pixelUnshuffle(x: Tensor, r: number): Tensor4D {
  const [n, h, w, c] = x.shape as [number, number, number, number];
  return tf.tidy(() => {
    const split = x.reshape([n, h / r, r, w / r, r, c]);
    return tf.transpose(split, [0, 1, 3, 5, 2, 4]).reshape([n, h / r, w / r, c * r * r]);
  });
}

/** Means of consecutive channels: x [n, h, w, c] → [n, h, w, channels]. */
export function groupMean(x: Tensor, channels: number): Tensor4D {
  const [n, h, w, c] = x.shape as [number, number, number, number];
  return x.reshape([n, h, w, channels, c / channels]).mean(-1);
}

/** Each channel repeated in place: x [n, h, w, c] → [n, h, w, channels]. */
export function repeatChannels(x: Tensor, channels: number): Tensor4D {
  const [n, h, w, c] = x.shape as [number, number, number, number];
  return tf.tile(x.reshape([n, h, w, c, 1]), [1, 1, 1, 1, channels / c]).reshape([n, h, w, channels]);
}
