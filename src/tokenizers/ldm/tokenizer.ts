import { UserError } from '../../base/index.js';
import { tf, type Tensor, type Tensor3D, type Tensor4D } from '../../engine/index.js';
import { conv2d, loadParams, under, type HostArray, type Params } from '../../nn/index.js';
import { tidied, toGrid, toTokens } from '../grid.js';
import { posterior, samplePosterior } from '../posterior.js';
import type { EncodeOptions, OpenOptions, Tokenizer, TokenizerSource } from '../tokenizer.js';
import { readLdmConfig, type LdmConfig } from './config.js';
import { spellingOf, toLatentDiffusionKeys, withoutPipeline, type Spelling } from './keys.js';
import { decodeFeatures, encodeFeatures } from './model.js';
import { ldmShapes } from './shapes.js';

export interface LoadedLdm {
  config: LdmConfig;
  params: Params;
  spelling: Spelling;
}

/** Weights of any spelling, checked, with the config that belongs to them. */
export function loadLdm(
  name: string,
  weights: Record<string, HostArray>,
  raw: Record<string, unknown>,
  options: OpenOptions,
): LoadedLdm {
  const spelling = spellingOf(Object.keys(withoutPipeline(weights)));
  if (!spelling) throw new UserError(`${name}: not the weights of a latent-diffusion autoencoder`);
  const arrays = toLatentDiffusionKeys(weights);
  const config = readLdmConfig(name, raw, arrays, spelling);
  checkGroups(name, config);
  return { config, params: loadParams(name, arrays, ldmShapes(config.architecture), options), spelling };
}

function checkGroups(name: string, { norm: { groups }, architecture: { ch, chMult } }: LdmConfig): void {
  const width = chMult.map(multiple => ch * multiple).find(channels => channels % groups !== 0);
  if (width === undefined) return;
  throw new UserError(
    `${name}: ${width} channels do not divide into ${groups} normalisation groups; give a config.json with norm_num_groups`,
  );
}

/** images [n, h, w, 3] → moments [n, h/f, w/f, 2c] (mean, then log-variance), or the latents of a plain autoencoder. */
export function encodeMoments({ norm }: LdmConfig, params: Params, images: Tensor): Tensor4D {
  return tf.tidy(() => {
    const features = encodeFeatures(norm, under(params, 'encoder'), images);
    return 'quant_conv.weight' in params ? conv2d(under(params, 'quant_conv'), features) : features;
  });
}

/** latents [n, h, w, c], not scaled → images [n, f·h, f·w, 3]. */
export function decodeLatents({ norm }: LdmConfig, params: Params, latents: Tensor): Tensor4D {
  return tf.tidy(() => {
    const lifted = 'post_quant_conv.weight' in params ? conv2d(under(params, 'post_quant_conv'), latents) : latents;
    return decodeFeatures(norm, under(params, 'decoder'), lifted);
  });
}

/** Opens VA-VAE, SD-VAE, KL-16 and similar autoencoders. */
export function openLdm(source: TokenizerSource, options: OpenOptions): Tokenizer {
  const { config, params, spelling } = loadLdm(source.name, source.weights, source.config, options);
  const { architecture } = config;
  const factor = 2 ** (architecture.chMult.length - 1);
  const imageSize = options.imageSize ?? config.imageSize;
  const side = imageSize / factor;
  return {
    name: nameOf(config, spelling),
    family: 'ldm',
    imageSize,
    sizeMultiple: factor,
    latentShape: [side * side, architecture.embedDim],
    grid: [side, side],
    parameters: Object.values(params).reduce((sum, { size }) => sum + size, 0),
    digest: source.digest,
    // VA-VAE's and SD-VAE's own pipelines extract samples; MAETok's evaluation takes the mode.
    posterior: architecture.moments === 1 ? 'none' : spelling === 'maetok' ? 'mode' : 'sample',
    normalisation: config.normalisation,
    pixels: 'RGB in [-1, 1]',
    encode: (images, { noise } = {}) => tidied(() => encode(config, params, images, noise)),
    decode: latents => tidied(() => decodeLatents(config, params, toGrid(latents))),
    dispose: () => tf.dispose(params),
  };
}

function encode(config: LdmConfig, params: Params, images: Tensor, noise: EncodeOptions['noise']): Tensor3D {
  return tf.tidy(() => {
    const moments = toTokens(encodeMoments(config, params, images));
    if (config.architecture.moments === 1) return moments;
    const { mean, logVariance } = posterior(moments);
    return (noise ? samplePosterior({ mean, logVariance }, noise) : mean) as Tensor3D;
  });
}

function nameOf({ architecture: { embedDim } }: LdmConfig, spelling: Spelling): string {
  if (spelling === 'maetok') return 'kl-16';
  if (spelling === 'diffusers' || embedDim === 4) return 'sd-vae';
  return embedDim === 32 ? 'va-vae' : 'ldm-vae';
}
