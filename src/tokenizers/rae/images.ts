import { tf, type Tensor3D, type Tensor4D } from '../../engine/index.js';
import type { Params } from '../../nn/index.js';
import type { RaeConfig } from './config.js';
import { decodeTokens } from './decoder.js';

/** tokens [n, t, c], not normalised → images [n, side, side, 3] in [−1, 1], not clamped; `params` of `joinedLayers`. */
export function decodeImages(
  { decoder, mean, std, standardised }: RaeConfig,
  params: Params,
  tokens: Tensor3D,
  options: { recompute?: boolean | undefined } = {},
): Tensor4D {
  return tf.tidy(() => {
    const pixels = decodeTokens(decoder, params, tokens, options);
    const unit = standardised ? pixels.mul(std).add<Tensor4D>(mean) : pixels;
    return unit.mul(2).sub(1);
  });
}
