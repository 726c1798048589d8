import { tf, type RandomStream, type Scalar, type Tensor, type Tensor3D, type Tensor4D } from '../../engine/index.js';
import type { LossResult, Params } from '../../nn/index.js';
import { klPerImage, posterior, samplePosterior } from '../posterior.js';
import { auxDecoder, gridSide, type VitConfig } from './config.js';
import { decode, decodePatches } from './decoder.js';
import { encode } from './encoder.js';
import { randomMasks, type MaskRatio } from './masking.js';
import { auxLoss, type AuxTarget } from './targets.js';

/** How a tokenizer is trained. */
export interface VitRecipe {
  /** Patches hidden from the encoder; absent: none. */
  mask?: MaskRatio | undefined;
  /** What auxiliary decoders predict; their sizes are in the config. */
  targets: AuxTarget[];
  /** Auxiliary losses over the masked patches only, or over all. */
  auxOver: 'masked' | 'all';
  /** Weights of the squared and of the absolute error of the pixels. */
  l2: number;
  l1: number;
  /** Weight of the divergence from the standard normal, summed over the latents. */
  kl: number;
}

/** What one loss reads: pictures, and `target.<name>` [n, patches, width] for each auxiliary decoder. */
export type VitBatch = { images: Tensor4D } & Record<`target.${string}`, Tensor3D>;

/** The features that auxiliary decoders are to predict, made outside the gradient. */
export function targetFeatures(targets: AuxTarget[], images: Tensor4D): Record<`target.${string}`, Tensor3D> {
  return Object.fromEntries(targets.map(target => [`target.${target.name}`, target.features(images)]));
}

/**
 * The loss of one batch. The encoder runs once; every decoder reads the same latents. A function of parameters, batch
 * and stream alone.
 */
export function vitLoss(
  config: VitConfig,
  recipe: VitRecipe,
  params: Params,
  batch: VitBatch,
  random: RandomStream,
): LossResult {
  const { images } = batch;
  const mask = recipe.mask && drawMasks(config, recipe.mask, images, random.for('mask'));
  const { latents, kl } = encodeForTraining(config, params, images, mask, random.for('posterior'));
  const error = decode(config, params, latents).output.sub(images);
  const metrics: Record<string, Scalar> = { mse: error.square().mean() };
  const terms: Tensor[] = [metrics.mse.mul(recipe.l2)];
  const add = (name: string, value: Scalar, weight: number): void => {
    metrics[name] = value;
    terms.push(value.mul(weight));
  };
  if (recipe.l1 > 0) add('mae', error.abs().mean(), recipe.l1);
  if (kl) add('kl', kl, recipe.kl);
  for (const target of recipe.targets) {
    const { output } = decodePatches(config, auxDecoder(config, target.name), params, latents);
    const over = recipe.auxOver === 'masked' ? mask : undefined;
    add(`aux_${target.name}`, auxLoss(target, output, batch[`target.${target.name}`], over), target.weight);
  }
  return { loss: tf.addN(terms) as Scalar, metrics };
}

function drawMasks(config: VitConfig, ratio: MaskRatio, images: Tensor4D, random: RandomStream): Tensor {
  const [n, patches] = [images.shape[0], gridSide(config) ** 2];
  return tf.tensor2d(randomMasks(random, ratio, n, patches), [n, patches]);
}

/** z, or a sample of its posterior with the divergence averaged over the batch. */
function encodeForTraining(
  config: VitConfig,
  params: Params,
  images: Tensor4D,
  mask: Tensor | undefined,
  random: RandomStream,
): { latents: Tensor3D; kl?: Scalar } {
  const { latents } = encode(config, params, images, { mask });
  if (config.posterior === 'none') return { latents };
  const gaussian = posterior(latents);
  const sample = samplePosterior(gaussian, random.normalTensor(gaussian.mean.shape)) as Tensor3D;
  return { latents: sample, kl: klPerImage(gaussian).mean() };
}
