import { tf, type Tensor3D } from '../../engine/index.js';
import { countParameters, loadParams } from '../../nn/index.js';
import { tidied } from '../grid.js';
import { UNNORMALISED } from '../normalisation.js';
import { posterior, samplePosterior } from '../posterior.js';
import type { FamilyOptions, Tokenizer, TokenizerSource } from '../tokenizer.js';
import { readDetokConfig } from './config.js';
import { decodeLatents, encodeMoments } from './model.js';
import { detokShapes } from './shapes.js';

/** Opens the authors' checkpoints (`model` or `model_ema`). */
export function openDetok({ name, weights, digest }: TokenizerSource, options: FamilyOptions): Tokenizer {
  const config = readDetokConfig(name, weights);
  const params = loadParams(name, weights, detokShapes(config), options);
  const { side, channels } = config;
  return {
    name: 'l-detok',
    family: 'detok',
    imageSize: side * config.patchSize,
    latentShape: [side * side, channels],
    grid: [side, side],
    parameters: countParameters({ shapes: () => detokShapes(config) }),
    digest,
    posterior: 'mode',
    // Users compute statistics with the authors' code, or here.
    normalisation: UNNORMALISED,
    pixels: 'RGB in [-1, 1]',
    encode: (images, { noise } = {}) =>
      tidied(() => {
        const gaussian = posterior(encodeMoments(config, params, images));
        return (noise ? samplePosterior(gaussian, noise) : gaussian.mean) as Tensor3D;
      }),
    decode: latents => tidied(() => decodeLatents(config, params, latents)),
    dispose: () => tf.dispose(params),
  };
}
