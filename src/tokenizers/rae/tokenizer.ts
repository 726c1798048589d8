import { UserError } from '../../base/index.js';
import { tf } from '../../engine/index.js';
import { paramsFrom, roundedOnce, under, type Params } from '../../nn/index.js';
import type { VisionConfig } from '../../vision/index.js';
import { tidied } from '../grid.js';
import type { Normalisation } from '../normalisation.js';
import type { OpenOptions, Tokenizer, TokenizerSource } from '../tokenizer.js';
import { innermost, type RaeConfig } from './config.js';
import { joinedLayers } from './decoder.js';
import { encodeTokens } from './encoder.js';
import { decodeImages } from './images.js';
import { hasDecoder } from './keys.js';
import { loadRae } from './load.js';
import { RAE_V2_LAYERS } from './presets.js';
import { raeNormalisation } from './statistics.js';

/** What a training run writes into its config.yaml under `network`. */
export interface RaeNetwork {
  family: 'rae';
  config: RaeConfig;
  vision: VisionConfig;
}

const networkOf = ({ network }: Record<string, unknown>): RaeNetwork | undefined => {
  const found = network as Partial<RaeNetwork> | undefined;
  return found?.family === 'rae' ? (found as RaeNetwork) : undefined;
};

/** Networks ready to run, and how their latents are handed on. */
export interface RaeNetworks {
  config: RaeConfig;
  vision: VisionConfig;
  encoder: Params;
  /** As `joinedLayers` has them. */
  decoder: Params;
  normalisation: Normalisation;
  /** Whether diffusers' class hands latents on as maps. */
  asMap: boolean;
}

/** Reads diffusers' folder, encoder and decoder of the authors, or a run of ours. The caller disposes of the parameters. */
export async function openNetworks(source: TokenizerSource, options: OpenOptions): Promise<RaeNetworks> {
  const network = networkOf(source.config);
  return network ? ownNetworks(source, network) : await publishedNetworks(source, options);
}

function ownNetworks({ name, weights }: TokenizerSource, { config, vision }: RaeNetwork): RaeNetworks {
  return {
    config,
    vision,
    ...ready({ encoder: paramsFrom(under(weights, 'encoder')), decoder: paramsFrom(under(weights, 'decoder')) }),
    normalisation: raeNormalisation(name, weights, {}, 1, latentShape(config, vision)),
    asMap: true,
  };
}

/** For many forward passes. Takes over what it is given. */
function ready(params: Record<'encoder' | 'decoder', Params>): Pick<RaeNetworks, 'encoder' | 'decoder'> {
  return {
    encoder: roundedOnce(params.encoder),
    decoder: roundedOnce(joinedLayers(params.decoder, { release: true })),
  };
}

async function publishedNetworks(source: TokenizerSource, options: OpenOptions): Promise<RaeNetworks> {
  const { name, weights } = source;
  if (!hasEncoder(Object.keys(weights)))
    throw new UserError(
      `${name}: holds an RAE's decoder alone; name its encoder too, as rae:ENCODER,DECODER with ENCODER a file, a folder or hf:owner/name`,
    );
  const { halves } = source;
  const loaded = await loadRae(
    {
      name,
      weights,
      config: configOf(source, options),
      encoderConfig: halves?.encoderConfig,
      layers: RAE_V2_LAYERS[halves?.system ?? ''],
    },
    options,
  );
  const { config, fields, vision, decoder } = loaded;
  const raw = halves ? {} : innermost(source.config);
  const factor = fields.scaling_factor ?? 1;
  const normalisation = raeNormalisation(name, weights, raw, factor, latentShape(config, vision.config));
  return {
    config,
    vision: vision.config,
    ...ready({ encoder: vision.params, decoder }),
    normalisation,
    asMap: fields.reshape_to_2d ?? true,
  };
}

/** Of two halves, the config beside the decoder, and what a named one says before it. */
const configOf = ({ halves, config }: TokenizerSource, { config: named }: OpenOptions): Record<string, unknown> =>
  halves ? { ...halves.decoderConfig, ...(named === undefined ? {} : innermost(config)) } : config;

const nameOf = ({ layers }: RaeConfig): string => (layers ? `raev2-k${layers.length}` : 'rae');

const hasEncoder = (keys: string[]): boolean => keys.some(key => key.startsWith('encoder.'));

/** Whether these weights are an RAE's, or its decoder alone. */
export const isRae = ({ config, weights }: TokenizerSource): boolean => {
  const keys = Object.keys(weights);
  return (
    networkOf(config) !== undefined || ['decoder.', 'decoder.decoder.', ''].some(prefix => hasDecoder(keys, prefix))
  );
};

const latentShape = ({ side }: RaeConfig, { width }: VisionConfig): [tokens: number, channels: number] => [
  side * side,
  width,
];

/** Opens an RAE. */
export async function openRae(source: TokenizerSource, options: OpenOptions): Promise<Tokenizer> {
  const { config, vision, encoder, decoder, normalisation } = await openNetworks(source, options);
  const name = nameOf(config);
  const imageSize = config.side * config.decoder.patchSize;
  refuseSize(name, imageSize, options);
  const params = [...Object.values(encoder), ...Object.values(decoder)];
  return {
    name,
    family: 'rae',
    imageSize,
    latentShape: latentShape(config, vision),
    grid: [config.side, config.side],
    parameters: params.reduce((sum, { size }) => sum + size, 0),
    digest: source.digest,
    posterior: 'none',
    normalisation,
    pixels: `RGB in [0, 1], bicubic to ${config.inputSize} pixels`,
    encode: images => tidied(() => encodeTokens(config, vision, encoder, images)),
    decode: tokens => tidied(() => decodeImages(config, decoder, tokens)),
    dispose: () => tf.dispose(params),
  };
}

function refuseSize(name: string, imageSize: number, { imageSize: asked }: OpenOptions): void {
  if (asked === undefined || asked === imageSize) return;
  throw new UserError(`--image-size ${asked}: ${name} decodes images of ${imageSize} pixels and no others`);
}
