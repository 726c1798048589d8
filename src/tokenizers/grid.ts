import { UserError } from '../base/index.js';
import { tf, type Tensor, type Tensor3D, type Tensor4D } from '../engine/index.js';

/** [n, h, w, c] → tokens [n, h·w, c], row by row. */
export function toTokens(x: Tensor): Tensor3D {
  const [n, h, w, c] = x.shape as [number, number, number, number];
  return x.reshape([n, h * w, c]);
}

/** Tokens [n, t, c] → the square grid that they lie on, [n, √t, √t, c]. */
export function toGrid(tokens: Tensor): Tensor4D {
  const [n, t, c] = tokens.shape as [number, number, number];
  const side = Math.sqrt(t);
  if (!Number.isInteger(side))
    throw new UserError(`${t} latent tokens do not fill a square grid, which this tokenizer's decoder needs`);
  return tokens.reshape([n, side, side, c]);
}

/** `f` in a tidy, as a promise that carries its errors too. */
export const tidied = <T extends Tensor>(f: () => T): Promise<T> =>
  new Promise(resolve => {
    resolve(tf.tidy(f));
  });
