import { tf, type Scalar, type Tensor, type Tensor3D, type Tensor4D } from '../../engine/index.js';
import { patchify, unit } from '../../nn/index.js';
import { hog, hogWidth } from './hog.js';
import type { ImageTargetName } from './names.js';
import { sobel } from './sobel.js';

/** A target that an auxiliary decoder predicts for every patch. */
export interface AuxTarget {
  name: string;
  /** Numbers per patch. */
  width: number;
  /**
   * images [n, h, w, 3] in [−1, 1], and their places in the data set, → [n, patches, width]; no gradient flows through
   * it.
   */
  features(images: Tensor4D, indices: ArrayLike<number>): Tensor3D | Promise<Tensor3D>;
  /** prediction, target [n, patches, width] → [n, patches]. */
  distance(prediction: Tensor3D, target: Tensor3D): Tensor;
  /** Factor of its loss. */
  weight: number;
}

/** Mean over the features of the squared error. */
const squaredError: AuxTarget['distance'] = (prediction, target) => prediction.sub(target).square().mean(-1);

/** Minus the cosine of prediction and target. */
export const negativeCosine: AuxTarget['distance'] = (prediction, target) =>
  unit(prediction).mul<Tensor>(unit(target)).sum(-1).neg();

/** Mean of a distance over the masked patches, or over all of them without a mask. Mask [n, patches]. */
export function auxLoss(
  target: Pick<AuxTarget, 'distance'>,
  prediction: Tensor3D,
  features: Tensor3D,
  mask?: Tensor,
): Scalar {
  return tf.tidy(() => {
    const distance = target.distance(prediction, features);
    return mask ? distance.mul(mask).sum().div(mask.sum()) : distance.mean();
  });
}

const EPS = 1e-6;

/** Every patch's numbers brought to zero mean and unit variance, as MAE does with its pixel targets (He et al. 2022). */
function standardised(patches: Tensor): Tensor3D {
  const { mean, variance } = tf.moments(patches, -1, true);
  return patches.sub(mean).mul(variance.add(EPS).rsqrt());
}

/** Strength of the brightness gradient at every pixel: [n, h, w, 1]. */
function edgeStrength(images: Tensor4D): Tensor4D {
  const { gx, gy } = sobel(images.mean(-1, true));
  return tf.sqrt(gx.square().add(gy.square()));
}

/** A target that is made of the images alone. */
export type ImageTarget = AuxTarget & { features(images: Tensor4D): Tensor3D };

/** The features that auxiliary decoders are to predict, made outside the gradient. */
export async function targetFeatures(
  targets: Pick<AuxTarget, 'name' | 'features'>[],
  images: Tensor4D,
  indices: ArrayLike<number>,
): Promise<Record<string, Tensor3D>> {
  const found: Record<string, Tensor3D> = {};
  for (const target of targets) found[target.name] = await target.features(images, indices);
  return found;
}

/** Targets that need nothing but the images, by name. */
export const IMAGE_TARGETS: Record<string, (patchSize: number) => ImageTarget> = {
  hog: patchSize => ({
    name: 'hog',
    width: hogWidth(patchSize),
    features: images => hog(images, patchSize),
    distance: squaredError,
    weight: 1,
  }),
  pixels: patchSize => ({
    name: 'pixels',
    width: 3 * patchSize ** 2,
    features: images => tf.tidy(() => standardised(patchify(images, patchSize))),
    distance: squaredError,
    weight: 1,
  }),
  edges: patchSize => ({
    name: 'edges',
    width: patchSize ** 2,
    features: images => tf.tidy(() => standardised(patchify(edgeStrength(images), patchSize))),
    distance: squaredError,
    weight: 1,
  }),
} satisfies Record<ImageTargetName, (patchSize: number) => ImageTarget>;
