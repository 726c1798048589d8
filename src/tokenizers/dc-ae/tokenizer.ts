import { tf } from '../../engine/index.js';
import type { NdArray } from '../../io/index.js';
import { countParameters, loadParams, under, type Params } from '../../nn/index.js';
import { tidied, toGrid, toTokens } from '../grid.js';
import { scalarNormalisation, UNNORMALISED } from '../normalisation.js';
import type { FamilyOptions, Tokenizer, TokenizerSource } from '../tokenizer.js';
import { readDcAeConfig, type LoadedConfig } from './config.js';
import { isOriginalSpelling, toDiffusersKeys } from './keys.js';
import { decode, encode } from './model.js';
import { dcAeShapes } from './shapes.js';

/** Weights of either spelling, checked, with the config that belongs to them. */
export function loadDcAe(
  name: string,
  weights: Record<string, NdArray>,
  raw: Record<string, unknown>,
  options: FamilyOptions,
): { config: LoadedConfig; params: Params } {
  const arrays = isOriginalSpelling(Object.keys(weights)) ? toDiffusersKeys(weights) : weights;
  const config = readDcAeConfig(name, raw, arrays);
  const params = loadParams(name, arrays, dcAeShapes(config.architecture), {
    ...options,
    ignores: key => key.endsWith('.num_batches_tracked'),
  });
  return { config, params };
}

/** Opens a deep-compression autoencoder. */
export function openDcAe(source: TokenizerSource, options: FamilyOptions): Tokenizer {
  const { config, params } = loadDcAe(source.name, source.weights, source.config, options);
  const { architecture, model, factor } = config;
  if (config.scale === undefined)
    options.log?.warn(`${source.name}: no scaling_factor is known for this model, latents stay unscaled`);
  const imageSize = options.imageSize ?? 256;
  const side = imageSize / factor;
  return {
    name: `dc-ae-f${factor}c${architecture.latentChannels}`,
    family: 'dc-ae',
    imageSize,
    sizeMultiple: factor,
    latentShape: [side * side, architecture.latentChannels],
    grid: [side, side],
    parameters: countParameters({ shapes: () => dcAeShapes(architecture), isBuffer: isStatistic }),
    digest: source.digest,
    posterior: 'none',
    normalisation: config.scale === undefined ? UNNORMALISED : scalarNormalisation(0, config.scale, 'scaling_factor'),
    pixels: 'RGB in [-1, 1]',
    encode: images => tidied(() => toTokens(encode(model, under(params, 'encoder'), images))),
    decode: latents => tidied(() => decode(model, under(params, 'decoder'), toGrid(latents))),
    dispose: () => tf.dispose(params),
  };
}

/** Batch normalisation's running statistics are stored, but are not parameters. */
export const isStatistic = (key: string): boolean => /\.running_(mean|var)$/.test(key);
