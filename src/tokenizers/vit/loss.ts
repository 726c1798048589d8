import { tf, type RandomStream, type Scalar, type Tensor, type Tensor3D, type Tensor4D } from '../../engine/index.js';
import type { LossResult, Params } from '../../nn/index.js';
import { alignmentTerm, type VfAlignment } from './alignment.js';
import { klPerImage, posterior, samplePosterior } from '../posterior.js';
import { auxDecoder, type VitConfig } from './config.js';
import { decode, decodePatches } from './decoder.js';
import { encode } from './encoder.js';
import { judgeReconstruction, type Adversary, type PixelLoss } from '../losses/index.js';
import { LAST_LAYER } from './shapes.js';
import { fadedRatio, randomMasks, type MaskRatio } from './masking.js';
import type { AuxOver } from './names.js';
import type { Grid } from './positions.js';
import { auxLoss, type AuxTarget } from './targets.js';

/** How a tokenizer is trained. */
export interface VitRecipe extends PixelLoss {
  /** Patches hidden from the encoder; absent: none. */
  mask?: MaskRatio | undefined;
  /** The mask ratio falls linearly to none over so many steps; absent: it stays. */
  maskFade?: number | undefined;
  /** What auxiliary decoders predict; their sizes are in the config. */
  targets: AuxTarget[];
  /** Auxiliary losses over the masked patches only, or over all. */
  auxOver: AuxOver;
  /** Weight of the divergence from the standard normal, summed over the latents. */
  kl: number;
  /** Latents drawn towards a vision model's features, as VA-VAE's are. */
  align?: VfAlignment | undefined;
  /** Blocks keep nothing for the backward pass and are computed again in it. */
  recompute?: boolean | undefined;
}

/** What one loss reads. */
export interface VitBatch {
  images: Tensor4D;
  /** What auxiliary decoders predict, by name: [n, patches, width]. */
  targets: Record<string, Tensor3D>;
  /** What latents are aligned with, where they are: [n, tokens, width]. */
  align?: Tensor3D | undefined;
}

/** The values that change from step to step. */
export interface VitStep {
  /** Updates done. */
  step: number;
  random: RandomStream;
  /** The discriminator as it is now, from the step on at which it takes part. */
  adversary?: Adversary | undefined;
}

export interface VitLoss extends LossResult {
  reconstruction: Tensor4D;
}

/**
 * The loss of one batch. The encoder runs once; every decoder reads the same latents. A function of parameters, batch
 * and step alone.
 */
export function vitLoss(
  config: VitConfig,
  recipe: VitRecipe,
  params: Params,
  batch: VitBatch,
  { step, random, adversary }: VitStep,
): VitLoss {
  const { images } = batch;
  const { recompute } = recipe;
  const [, h, w] = images.shape;
  const grid: Grid = [h / config.patchSize, w / config.patchSize];
  const mask = recipe.mask && drawMasks(fadedRatio(recipe.mask, step, recipe.maskFade), images, grid, random);
  const { latents, kl } = encodeForTraining(config, params, images, { mask, recompute }, random.for('posterior'));
  const { output } = decode(config, params, latents, { grid, recompute });
  const judged = judgeReconstruction(recipe, params[LAST_LAYER.decoder], { output, images, step, adversary });
  const metrics: LossResult['metrics'] = { ...judged.metrics };
  const terms: Tensor[] = [judged.loss];
  const add = (name: string, value: Scalar, weight: number): void => {
    metrics[name] = value;
    terms.push(value.mul(weight));
  };
  if (kl) add('kl', kl, recipe.kl);
  for (const target of recipe.targets) {
    const { output } = decodePatches(config, auxDecoder(config, target.name), params, latents, { grid, recompute });
    const over = recipe.auxOver === 'masked' ? mask : undefined;
    add(`aux_${target.name}`, auxLoss(target, output, batch.targets[target.name], over), target.weight);
  }
  if (recipe.align) {
    const aligned = alignmentTerm(recipe.align, params, latents, batch.align!, judged.loss);
    Object.assign(metrics, aligned.metrics);
    terms.push(aligned.loss);
  }
  return { loss: tf.addN(terms) as Scalar, metrics, reconstruction: output };
}

function drawMasks(ratio: MaskRatio, images: Tensor4D, [rows, columns]: Grid, random: RandomStream): Tensor {
  const [n, patches] = [images.shape[0], rows * columns];
  return tf.tensor2d(randomMasks(random.for('mask'), ratio, n, patches), [n, patches]);
}

/** z, or a sample of its posterior with the divergence averaged over the batch. */
function encodeForTraining(
  config: VitConfig,
  params: Params,
  images: Tensor4D,
  options: { mask: Tensor | undefined; recompute: boolean | undefined },
  random: RandomStream,
): { latents: Tensor3D; kl?: Scalar } {
  const { latents } = encode(config, params, images, options);
  if (config.posterior === 'none') return { latents };
  const gaussian = posterior(latents);
  const sample = samplePosterior(gaussian, random.normalTensor(gaussian.mean.shape)) as Tensor3D;
  return { latents: sample, kl: klPerImage(gaussian).mean() };
}
