import { einsum, tf, type Tensor, type Tensor3D } from '../../engine/index.js';
import { unit } from '../../nn/index.js';
import type { Codebook } from './config.js';

/** Key of the codewords [parts, codewords, channels]. */
export const CODEWORDS = 'quantize.embedding';

/**
 * SoftVQ (Chen et al. 2024): every latent becomes the mean of its part's codewords, weighted by the softmax of their
 * products with it over the temperature. z [n, tokens, channels] → the same shape; the parts are runs of tokens.
 */
export function mixCodewords({ parts, temperature, unitLength }: Codebook, codewords: Tensor, z: Tensor3D): Tensor3D {
  return tf.tidy(() => {
    const [n, t, c] = z.shape;
    const sized = (x: Tensor): Tensor => (unitLength ? unit(x) : x);
    const [latents, words] = [sized(z.reshape([n, parts, t / parts, c])), sized(codewords)];
    const weights = tf.softmax(einsum('n p t c, p k c -> n p t k', latents, words).div(temperature));
    return einsum('n p t k, p k c -> n p t c', weights, words).reshape([n, t, c]);
  });
}
