import { tf, type RandomStream, type Tensor, type Tensor3D, type Tensor4D } from '../../engine/index.js';
import { prefixed, uniform, under, type LossResult, type Params } from '../../nn/index.js';
import { judgeReconstruction, type Adversary, type PixelLoss } from '../losses/index.js';
import type { RaeConfig } from './config.js';
import { joinedLayers } from './decoder.js';
import { decodeImages } from './images.js';
import { decoderShapes, type DecoderSizes } from './keys.js';
import type { NoiseDistribution, RaeDecoderName } from './names.js';

/* Training of an RAE's decoder (Zheng et al. 2025): the encoder is frozen, its tokens are disturbed by noise. */

/** Sizes of a decoder to train, and of its images. */
export interface DecoderPreset extends Omit<DecoderSizes, 'channels' | 'patchSize'> {
  heads: number;
  imageSize: number;
  patchSize: number;
}

// prettier-ignore
export const DECODER_PRESETS: Record<RaeDecoderName, DecoderPreset> = {
  tiny:  { width:   96, depth:  3, heads:  3, hidden:  384, imageSize:  32, patchSize:  8 },
  base:  { width:  768, depth: 12, heads: 12, hidden: 3072, imageSize: 256, patchSize: 16 },
  large: { width: 1024, depth: 24, heads: 16, hidden: 4096, imageSize: 256, patchSize: 16 },
  xl:    { width: 1152, depth: 28, heads: 16, hidden: 4096, imageSize: 256, patchSize: 16 },
};

/** A decoder before training, under `decoder.`: linear layers as PyTorch begins them, norms 1 and 0, the class token 0. */
export function initialDecoder(sizes: DecoderSizes, random: RandomStream): Params {
  const shapes = decoderShapes(sizes);
  const initial = (key: string, shape: number[]): Tensor => {
    if (key.endsWith('cls_token')) return tf.zeros(shape);
    if (/norm(_before|_after)?\.\w+$/.test(key)) return key.endsWith('weight') ? tf.ones(shape) : tf.zeros(shape);
    const [, inputs] = shapes[key.replace(/bias$/, 'weight')];
    return uniform(random.for(key), shape, inputs ** -0.5);
  };
  return prefixed(
    Object.fromEntries(Object.entries(shapes).map(([key, shape]) => [key, initial(key, shape)])),
    'decoder',
  );
}

/** How a decoder is trained. */
export interface RaeRecipe extends PixelLoss {
  /** τ of the noise levels. */
  noiseTau: number;
  noiseDistribution: NoiseDistribution;
  recompute: boolean;
}

/** Images, and the tokens that the encoder has of them [n, t, c]. */
export interface RaeBatch {
  images: Tensor4D;
  tokens: Tensor3D;
}

interface RaeStep {
  step: number;
  random: RandomStream;
  adversary?: Adversary | undefined;
}

/** The loss of one batch: what is decoded from disturbed tokens against the images. `params` are those of the run. */
export function raeLoss(
  config: RaeConfig,
  recipe: RaeRecipe,
  params: Params,
  { images, tokens }: RaeBatch,
  { step, random, adversary }: RaeStep,
): LossResult & { reconstruction: Tensor4D } {
  const decoder = joinedLayers(under(params, 'decoder'));
  const output = decodeImages(config, decoder, disturbed(recipe, tokens, random.for('noise')), recipe);
  const last = params['decoder.decoder_pred.weight'];
  return { ...judgeReconstruction(recipe, last, { output, images, step, adversary }), reconstruction: output };
}

/** tokens + σ · noise, with a level σ for each image. */
function disturbed({ noiseTau, noiseDistribution }: RaeRecipe, tokens: Tensor3D, random: RandomStream): Tensor3D {
  if (noiseTau === 0) return tokens;
  const levels = noiseLevels(noiseTau, noiseDistribution, tokens.shape[0], random.for('levels'));
  return tokens.add(random.normalTensor(tokens.shape).mul(tf.tensor3d(levels, [levels.length, 1, 1])));
}

/** One σ for each of n images. */
export function noiseLevels(
  tau: number,
  distribution: NoiseDistribution,
  n: number,
  random: RandomStream,
): Float32Array {
  const draws = distribution === 'uniform' ? random.uniforms(n) : random.normals(n);
  return Float32Array.from(draws, draw => tau * Math.abs(draw));
}
