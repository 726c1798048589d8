import { UserError } from '../base/index.js';
import { tf, type Tensor, type Tensor4D } from '../engine/index.js';

/**
 * [rows, columns] of neighbouring latents that are handed to a diffusion model as one token. Its channels are in the
 * order (channel, row, column).
 */
export type Patch = readonly [rows: number, columns: number];

/** Latents [n, h, w, c] → packed [n, h/p, w/q, c·p·q]. */
export function packed(z: Tensor, [p, q]: Patch): Tensor4D {
  const [n, h, w, c] = z.shape as [number, number, number, number];
  return tf.tidy(() => {
    const split = z.reshape([n, h / p, p, w / q, q, c]);
    return tf.transpose(split, [0, 1, 3, 5, 2, 4]).reshape([n, h / p, w / q, c * p * q]);
  });
}

/** The inverse of `packed`. */
export function unpacked(z: Tensor, [p, q]: Patch): Tensor4D {
  const [n, h, w, c] = z.shape as [number, number, number, number];
  return tf.tidy(() => {
    const split = z.reshape([n, h, w, c / (p * q), p, q]);
    return tf.transpose(split, [0, 1, 4, 2, 5, 3]).reshape([n, h * p, w * q, c / (p * q)]);
  });
}

/** Packed tokens [n, t, c] of a square of latents → the grid that they lie on. */
export function packedGrid(tokens: Tensor, [p, q]: Patch): Tensor4D {
  const [n, t, c] = tokens.shape as [number, number, number];
  const side = Math.sqrt(t * p * q);
  if (side % p !== 0 || side % q !== 0)
    throw new UserError(`${t} latent tokens do not fill a square grid, which this tokenizer's decoder needs`);
  return tokens.reshape([n, side / p, side / q, c]);
}
