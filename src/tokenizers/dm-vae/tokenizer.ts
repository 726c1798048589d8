import { z } from 'zod';
import { UserError } from '../../base/index.js';
import { tf } from '../../engine/index.js';
import { checked } from '../../io/index.js';
import { loadParams, under } from '../../nn/index.js';
import { readVision } from '../../vision/index.js';
import { tidied } from '../grid.js';
import { toImagenet } from '../imagenet.js';
import { shownDecoder } from '../ldm/index.js';
import { scalarNormalisation, UNNORMALISED, type Normalisation } from '../normalisation.js';
import type { OpenOptions, Tokenizer, TokenizerSource } from '../tokenizer.js';
import { decode, encode } from './model.js';
import { dmVaeShapes, isBuffer, type DmVaeConfig } from './shapes.js';

const ENCODER = 'encoder.model';

/** Opens DM-VAE (Ye et al. 2025): DINOv2's patch tokens through a bottleneck, and FLUX's decoder. */
export async function openDmVae(source: TokenizerSource, options: OpenOptions): Promise<Tokenizer> {
  const { name, weights, digest } = source;
  const normalisation = configured(source, options);
  const isEncoder = (key: string): boolean => key.startsWith(`${ENCODER}.`);
  const part = (wanted: boolean): TokenizerSource['weights'] =>
    Object.fromEntries(Object.entries(weights).filter(([key]) => isEncoder(key) === wanted));
  const config = shown(name, weights);
  const params = loadParams(name, part(false), dmVaeShapes(config), { ...options, ignores: isBuffer });
  const encoder = await readVision({ name, weights: part(true), config: source.config });
  const { patchSize, positions } = encoder.config;
  const side = Math.sqrt(positions - 1);
  const tensors = [...Object.values(params), ...Object.values(encoder.params)];
  return {
    name: 'dm-vae',
    family: 'dm-vae',
    imageSize: side * patchSize,
    latentShape: [side * side, config.channels],
    grid: [side, side],
    parameters: tensors.reduce((sum, { size }) => sum + size, 0),
    digest,
    posterior: 'none',
    normalisation,
    pixels: 'RGB, ImageNet mean and standard deviation',
    encode: images => tidied(() => encode(encoder, params, toImagenet(images))),
    decode: latents => tidied(() => decode(params, latents)),
    dispose: () => tf.dispose(tensors),
  };
}

function shown(name: string, weights: TokenizerSource['weights']): DmVaeConfig {
  const shape = (key: string): number[] => {
    if (!Object.hasOwn(weights, key)) throw new UserError(`${name}: tensor '${key}' is missing; is the file complete?`);
    return weights[key].shape;
  };
  const [hidden, features] = shape('bottle_neck.mlp.0.weight');
  const [channels] = shape('bottle_neck.mlp.2.weight');
  return { features, hidden, channels, decoder: shownDecoder(name, under(weights, 'decoder'), channels) };
}

/** What the authors give their programs on the command line: (z − latent_mean) · latent_scale. */
const FIELDS = z.object({ latent_mean: z.number().default(0), latent_scale: z.number().positive().optional() });

function configured({ name, config }: TokenizerSource, { statistics, log }: OpenOptions): Normalisation {
  const { latent_mean: mean, latent_scale: scale } = checked(`${name}: config`, config, FIELDS);
  if (scale !== undefined) return scalarNormalisation(mean, scale, 'config latent_mean, latent_scale');
  if (statistics === undefined)
    log?.note(
      `${name}: no config says latent_mean and latent_scale, so latents are not normalised; for the published vae.pt they are 0.0685 and 0.1763 (--tokenizer-config)`,
    );
  return UNNORMALISED;
}
