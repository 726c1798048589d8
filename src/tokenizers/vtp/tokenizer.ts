import { tf } from '../../engine/index.js';
import { roundedOnce } from '../../nn/index.js';
import { tidied } from '../grid.js';
import { fromImagenet, toImagenet } from '../imagenet.js';
import { UNNORMALISED } from '../normalisation.js';
import type { OpenOptions, Tokenizer, TokenizerSource } from '../tokenizer.js';
import { readVtpConfig, type VtpStack } from './config.js';
import { decode, encode, type Periods } from './model.js';
import { loadVtp } from './parameters.js';
import { defaultPeriods } from './positions.js';
import { isBuffer } from './shapes.js';

/** Opens a folder of VTP's weights and config; the text tower in it is passed over. */
export function openVtp({ name, weights, config: raw, digest }: TokenizerSource, options: OpenOptions): Tokenizer {
  const config = readVtpConfig(name, raw, weights);
  const imageSize = options.imageSize ?? config.imageSize;
  const params = roundedOnce(loadVtp(name, weights, config, options));
  const periodsOf = (prefix: string, { width, heads }: VtpStack): number[] => {
    const key = `${prefix}.rope_embed.periods`;
    return Object.hasOwn(weights, key) ? Array.from(weights[key].data, Number) : defaultPeriods(width / heads);
  };
  const periods: Periods = {
    encoder: periodsOf('trunk', config.encoder),
    decoder: periodsOf('pixel_decoder', config.decoder),
  };
  const side = imageSize / config.patchSize;
  return {
    name: 'vtp',
    family: 'vtp',
    imageSize,
    sizeMultiple: config.patchSize,
    latentShape: [side * side, config.channels],
    grid: [side, side],
    parameters: Object.entries(params).reduce((sum, [key, { size }]) => sum + (isBuffer(key) ? 0 : size), 0),
    digest,
    posterior: 'none',
    // Its own are published beside the code of its diffusion models: latents_stats.pt.
    normalisation: UNNORMALISED,
    pixels: 'RGB, ImageNet mean and standard deviation',
    encode: images => tidied(() => encode(config, periods, params, toImagenet(images))),
    decode: latents => tidied(() => fromImagenet(decode(config, periods, params, latents))),
    dispose: () => tf.dispose(params),
  };
}
