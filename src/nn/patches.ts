import { tf, type Tensor, type Tensor3D, type Tensor4D } from '../engine/index.js';

/** images [n, h, w, c] → row-major patches [n, (h/p)·(w/p), p·p·c]; within a patch row, column, channel (fastest). */
export function patchify(images: Tensor, p: number): Tensor3D {
  const [n, h, w, c] = images.shape as [number, number, number, number];
  return tf.tidy(() => {
    // [n, rows, p, columns, p·c]: four axes where the textbook has six, so the innermost run stays long.
    const split = images.reshape([n * (h / p), p, w / p, p * c]);
    return tf.transpose(split, [0, 2, 1, 3]).reshape([n, (h / p) * (w / p), p * p * c]);
  });
}

/** The inverse of `patchify` for a grid of `rows` × `columns` patches. */
export function unpatchify(patches: Tensor, p: number, rows: number, columns: number): Tensor4D {
  const [n, , width] = patches.shape as [number, number, number];
  const c = width / (p * p);
  return tf.tidy(() => {
    const split = patches.reshape([n * rows, columns, p, p * c]);
    return tf.transpose(split, [0, 2, 1, 3]).reshape([n, rows * p, columns * p, c]);
  });
}

/**
 * Patch embedding with a convolution's weight [d, c, p, p], kernel = stride = p, as one product (a convolution's
 * gradient is not on every engine). images [n, h, w, c] → [n, patches, p·p·c] · [d, p·p·c]ᵀ; the weight is transposed to
 * the patches' channel-last order.
 */
export function patchWeight(weight: Tensor): Tensor {
  const [d, c, p] = weight.shape as [number, number, number];
  return tf.tidy(() => tf.transpose(weight, [0, 2, 3, 1]).reshape([d, p * p * c]));
}
