import { UserError } from '../../base/index.js';
import { tf, type Tensor3D, type Tensor4D } from '../../engine/index.js';
import { countParameters, loadParams, roundedOnce, type HostArray, type Params } from '../../nn/index.js';
import { scalarNormalisation } from '../normalisation.js';
import { posterior, samplePosterior } from '../posterior.js';
import type { EncodeOptions, FamilyOptions, Tokenizer, TokenizerFamily, TokenizerSource } from '../tokenizer.js';
import { CODEWORDS, mixCodewords } from './codebook.js';
import { vitConfigSchema, type VitConfig } from './config.js';
import { decode } from './decoder.js';
import { encode } from './encoder.js';
import { isVit, readHubConfig } from './hub.js';
import type { Grid } from './positions.js';
import { vitPresets } from './presets.js';
import { isIgnored, vitShapes } from './shapes.js';

/** What a training run writes into its config.yaml under `network`. */
export interface VitNetwork {
  family: 'vit';
  /** `ae`, `kl-vae` or `maetok`. */
  model: string;
  config: VitConfig;
}

export const vitFamily: TokenizerFamily = {
  name: 'vit',
  recognises: ({ config, weights }) => networkOf(config) !== undefined || isVit(Object.keys(weights)),
  open: openVit,
  splits: true,
  presets: vitPresets,
};

function networkOf({ network }: Record<string, unknown>): VitNetwork | undefined {
  const found = network as Partial<VitNetwork> | undefined;
  return found?.family === 'vit' ? (found as VitNetwork) : undefined;
}

const MASK_TOKEN = 'encoder.mask_token';
/** Auxiliary decoders and everything else that only training needs is left in the file. */
const ONLY_IN_TRAINING = /^((decoder|post_quant_conv|to_pixel)_\w+|linear_proj)\./;

function openVit(source: TokenizerSource, options: FamilyOptions): Tokenizer {
  const network = networkOf(source.config);
  const read = network ? readNetwork(source.name, network) : readHubConfig(source.name, source.config, source.weights);
  const config = { ...read, aux: undefined };
  const params = loadVit(source.name, source.weights, config, options);
  const { imageSize } = options;
  const name = network?.model ?? nameOf(config);
  const isBuffer = (key: string): boolean => !Object.hasOwn(source.weights, key);
  return {
    ...tokenizerOf({ config, params, imageSize, name, digest: source.digest }),
    // Those that stay in the file too.
    parameters: countParameters({ shapes: () => vitShapes(config), isBuffer }),
  };
}

/** The config in a run's `network`, checked. */
export function readNetwork(name: string, { config }: VitNetwork): VitConfig {
  const parsed = vitConfigSchema.safeParse(config);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new UserError(`${name}: network.config.${issue.path.join('.')}: ${issue.message}`);
}

/** Published ones tell their posterior only. */
const nameOf = ({ posterior: kind, maskToken, codebook }: VitConfig): string =>
  codebook ? 'softvq' : kind === 'gaussian' ? 'kl-vae' : maskToken ? 'maetok' : 'ae';

/** Weights of a file, checked, as the parameters of a config's forward passes. */
function loadVit(
  name: string,
  weights: Record<string, HostArray>,
  config: VitConfig,
  options: FamilyOptions = {},
): Params {
  return loadParams(name, weights, vitShapes(config), {
    ...options,
    ignores: key => isIgnored(key) || (!config.aux && ONLY_IN_TRAINING.test(key)),
    optional: key => key === MASK_TOKEN,
  });
}

/** What a tokenizer of this family is made of. */
export interface VitParts {
  name: string;
  config: VitConfig;
  params: Params;
  digest: string;
  /** Side of the images where it is not the config's: positions are interpolated. */
  imageSize?: number | undefined;
}

/** A tokenizer on parameters in memory, which it owns; it speaks the network's z. */
export function tokenizerOf({ name, config, params, digest, imageSize = config.imageSize }: VitParts): Tokenizer {
  const { patchSize, latentTokens, latentChannels, latentMean, latentStd } = config;
  if (imageSize % patchSize !== 0)
    throw new UserError(`--image-size ${imageSize}: is not a multiple of the patch size ${patchSize} of ${name}`);
  const ready = roundedOnce(params);
  const side = imageSize / patchSize;
  const grid: Grid = [side, side];
  return {
    name,
    family: 'vit',
    imageSize,
    latentShape: [latentTokens || side * side, latentChannels],
    ...(latentTokens === 0 ? { grid } : {}),
    parameters: Object.values(ready).reduce((sum, { size }) => sum + size, 0),
    digest,
    posterior: config.posterior === 'gaussian' ? 'mode' : 'none',
    normalisation: scalarNormalisation(latentMean, 1 / latentStd, 'config vq_mean, vq_std'),
    pixels: 'RGB in [-1, 1]',
    encode: (images, { noise } = {}) => Promise.resolve(tf.tidy(() => encodeLatents(config, ready, images, noise))),
    decode: latents => Promise.resolve(tf.tidy(() => decode(config, ready, latents, { grid }).output)),
    dispose: () => tf.dispose(ready),
  };
}

/** images → z [n, tokens, channels]: a posterior's mode, or a sample made of `noise`. */
export function encodeLatents(
  config: VitConfig,
  params: Params,
  images: Tensor4D,
  noise?: EncodeOptions['noise'],
): Tensor3D {
  const { latents } = encode(config, params, images);
  if (config.codebook) return mixCodewords(config.codebook, params[CODEWORDS], latents);
  if (config.posterior === 'none') return latents;
  const gaussian = posterior(latents);
  return (noise ? samplePosterior(gaussian, noise) : gaussian.mean) as Tensor3D;
}
