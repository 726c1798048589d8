import { UserError } from '../../base/index.js';
import { tf, type Tensor, type Tensor3D, type Tensor4D } from '../../engine/index.js';
import { conv2d, countParameters, loadParams, under, type HostArray, type Params } from '../../nn/index.js';
import { tidied, toGrid, toTokens } from '../grid.js';
import { UNNORMALISED } from '../normalisation.js';
import { packed, packedGrid, unpacked } from '../packing.js';
import { posterior, samplePosterior } from '../posterior.js';
import type { EncodeOptions, FamilyOptions, Tokenizer, TokenizerSource } from '../tokenizer.js';
import { readLdmConfig, type LdmConfig } from './config.js';
import { spellingOf, toLatentDiffusionKeys, withoutPipeline, type Spelling } from './keys.js';
import { decodeFeatures, encodeFeatures } from './model.js';
import { isStatistic, ldmShapes, type LdmArchitecture } from './shapes.js';

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
  options: FamilyOptions,
): LoadedLdm {
  const spelling = spellingOf(Object.keys(withoutPipeline(weights)));
  if (!spelling) throw new UserError(`${name}: not the weights of a latent-diffusion autoencoder`);
  const arrays = toLatentDiffusionKeys(weights);
  const config = readLdmConfig(name, raw, arrays, spelling);
  checkGroups(name, config);
  const params = loadParams(name, arrays, ldmShapes(config.architecture), {
    ...options,
    optional: key => key === 'bn.num_batches_tracked',
    asLoaded: (array, key) => (isStatistic(key) ? undefined : array),
  });
  return { config, params, spelling };
}

function checkGroups(name: string, { norm: { groups }, architecture }: LdmConfig): void {
  const { ch, chMult, decoderChMult = [] } = architecture;
  const width = [...chMult, ...decoderChMult].map(multiple => ch * multiple).find(channels => channels % groups !== 0);
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
export function openLdm(source: TokenizerSource, options: FamilyOptions): Tokenizer {
  const { config, params, spelling } = loadLdm(source.name, source.weights, source.config, options);
  const { architecture } = config;
  if (lacksFactors(config, spelling) && options.statistics === undefined)
    options.log?.warn(
      `${source.name}: latents stay unscaled: FLUX.1 and Stable Diffusion 3 share this network, and only a config.json with scaling_factor and shift_factor (0.3611 and 0.1159; 1.5305 and 0.0609) tells whose factors apply`,
    );
  const factor = 2 ** (architecture.chMult.length - 1);
  const [rows, columns] = architecture.patch ?? ALONE;
  const imageSize = options.imageSize ?? config.imageSize;
  const side = imageSize / factor;
  return {
    name: nameOf(config, spelling),
    family: 'ldm',
    imageSize,
    sizeMultiple: factor * leastCommonMultiple(rows, columns),
    latentShape: [(side * side) / (rows * columns), architecture.embedDim * rows * columns],
    grid: [side / rows, side / columns],
    parameters: countParameters({ shapes: () => ldmShapes(architecture), isBuffer: isStatistic }),
    digest: source.digest,
    posterior: posteriorOf(architecture, spelling),
    normalisation: config.normalisation,
    pixels: 'RGB in [-1, 1]',
    encode: (images, { noise } = {}) => tidied(() => encode(config, params, images, noise)),
    decode: latents => tidied(() => decodeLatents(config, params, asGrid(architecture, latents))),
    dispose: () => tf.dispose(params),
  };
}

function encode(config: LdmConfig, params: Params, images: Tensor, noise: EncodeOptions['noise']): Tensor3D {
  return tf.tidy(() => {
    const { moments: perChannel, patch } = config.architecture;
    const moments = encodeMoments(config, params, images);
    if (perChannel === 1) return toTokens(moments);
    const asTokens = (map: Tensor): Tensor3D => toTokens(patch ? packed(map, patch) : map);
    const { mean, logVariance } = posterior(moments);
    if (!noise) return asTokens(mean);
    return samplePosterior({ mean: asTokens(mean), logVariance: asTokens(logVariance) }, noise) as Tensor3D;
  });
}

/** A single file of the network that two systems share, without what they do to its latents. */
const lacksFactors = ({ architecture, normalisation }: LdmConfig, spelling: Spelling): boolean =>
  spelling === 'latent-diffusion' &&
  architecture.embedDim === 16 &&
  !architecture.quantConv &&
  normalisation.source === UNNORMALISED.source;

/** VA-VAE's and SD-VAE's own pipelines extract samples; FLUX.2's, and MAETok's evaluation, take the mode. */
function posteriorOf({ moments, patch }: LdmArchitecture, spelling: Spelling): Tokenizer['posterior'] {
  if (moments === 1) return 'none';
  return spelling === 'maetok' || patch ? 'mode' : 'sample';
}

const asGrid = ({ patch }: LdmArchitecture, latents: Tensor): Tensor4D =>
  patch ? unpacked(packedGrid(latents, patch), patch) : toGrid(latents);

/** Every latent is a token. */
const ALONE = [1, 1] as const;

const leastCommonMultiple = (a: number, b: number): number => (a % b === 0 ? a : a * b);

function nameOf({ architecture: { embedDim, patch }, normalisation }: LdmConfig, spelling: Spelling): string {
  if (spelling === 'maetok') return 'kl-16';
  if (patch) return 'flux2-vae';
  if (embedDim === 4) return 'sd-vae';
  if (embedDim === 16) return SIXTEEN_CHANNELS[normalisation.scale[0]] ?? 'kl-vae';
  if (spelling === 'diffusers') return 'kl-vae';
  return embedDim === 32 ? 'va-vae' : 'ldm-vae';
}

/** FLUX.1's and Stable Diffusion 3's autoencoders are one network; their factors tell them apart. */
const SIXTEEN_CHANNELS: Record<number, string> = { 0.3611: 'flux-vae', 1.5305: 'sd3-vae' };
