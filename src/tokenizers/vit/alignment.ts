import { tf, valueAndGradients, type Scalar, type Tensor, type Tensor3D } from '../../engine/index.js';
import { differentiable, linear, type Params } from '../../nn/index.js';
import { adaptiveWeight, alignment, ALIGNMENT_LARGEST, type AlignmentMargins } from '../losses/index.js';
import { LAST_LAYER } from './shapes.js';

/** Latents drawn towards a frozen vision model's features (Yao & Wang 2025), token by token. */
export interface VfAlignment {
  weight: number;
  margins: AlignmentMargins;
}

/** Key of the linear layer, without bias, from the latents' channels to the features; only training has it. */
export const PROJECTION = 'linear_proj.weight';

/**
 * The weighted alignment of latents [n, tokens, channels] with features [n, tokens, width]. Its weight is multiplied by
 * the ratio of the reconstruction's and its own gradient at the encoder's last layer.
 */
export function alignmentTerm(
  { weight, margins }: VfAlignment,
  params: Params,
  latents: Tensor3D,
  features: Tensor3D,
  reconstruction: Scalar,
): { loss: Tensor; metrics: Record<string, Scalar> } {
  const last = params[LAST_LAYER.encoder];
  const projected = linear({ weight: params[PROJECTION] }, latents) as Tensor3D;
  const { loss, cosine, distance } = alignment(margins, projected, features);
  const atLast = (value: Scalar): Tensor =>
    valueAndGradients(() => value.clone(), [last]).gradients[0] ?? tf.zerosLike(last);
  const balanced = adaptiveWeight(atLast(reconstruction), atLast(loss), ALIGNMENT_LARGEST).mul<Scalar>(weight);
  return {
    loss: scaledBy(loss, balanced),
    metrics: { align_cosine: cosine, align_distance: distance, align_weight: balanced },
  };
}

/** x · factor, where no gradient flows through the factor. */
const scaledBy = (x: Tensor, factor: Tensor): Tensor =>
  differentiable(
    y => [y.mul(factor), factor],
    (dy, kept) => [dy.mul(kept)],
  )(x);
