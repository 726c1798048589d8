import { matMul, tf, type Scalar, type Tensor, type Tensor3D } from '../../engine/index.js';
import { unit } from '../../nn/index.js';

/**
 * Alignment of a tokenizer's latents with a frozen vision model's features (Yao & Wang 2025, eq. 2–7). Both come as
 * [n, tokens, features], the latents projected to the features' width.
 */
export interface AlignmentMargins {
  /** Cosine dissimilarity of a token that costs nothing. */
  cosine: number;
  /** Difference of two tokens' similarities that costs nothing. */
  distance: number;
}

export interface AlignmentLoss {
  /** Mean over pairs of tokens of relu(|cos(zᵢ, zⱼ) − cos(fᵢ, fⱼ)| − margin). */
  distance: Scalar;
  /** Mean over tokens of relu(1 − margin − cos(zᵢ, fᵢ)). */
  cosine: Scalar;
  loss: Scalar;
}

/** Both losses and their sum, scalars; latents and features [n, tokens, width]. Yao & Wang 2025, eq. 2–7. */
export function alignment(margins: AlignmentMargins, latents: Tensor3D, features: Tensor3D): AlignmentLoss {
  const [z, f] = [unit(latents), unit(features)];
  const similarity = (x: Tensor): Tensor => matMul(x, x, { transposeB: true });
  const difference = similarity(z).sub(similarity(f)).abs();
  const distance = tf.relu(difference.sub(margins.distance)).mean<Scalar>();
  const own = z.mul(f).sum(-1);
  const cosine = tf.relu(own.neg().add(1 - margins.cosine)).mean<Scalar>();
  return { distance, cosine, loss: distance.add(cosine) };
}

/** The weight's adaptive part, clamped before the hyper-weight; gradients at the encoder's last convolution. */
export const ALIGNMENT_LARGEST = 1e8;
