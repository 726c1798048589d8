import { tf, type Tensor3D } from '../../engine/index.js';
import { countParameters, loadParams, type HostArray, type Params } from '../../nn/index.js';
import { tidied, toGrid, toTokens } from '../grid.js';
import { posterior, samplePosterior } from '../posterior.js';
import type { FamilyOptions, Tokenizer, TokenizerSource } from '../tokenizer.js';
import { readWanConfig, type WanConfig } from './config.js';
import { forOnePicture, spellingOf, toDiffusersKeys } from './keys.js';
import { decodeLatents, encodeMoments } from './model.js';
import { wanShapes } from './shapes.js';

/** Weights of either spelling, checked, with the config that belongs to them. */
export function loadWan(
  name: string,
  weights: Record<string, HostArray>,
  raw: Record<string, unknown>,
  options: FamilyOptions,
): { config: WanConfig; params: Params } {
  const arrays = spellingOf(Object.keys(weights)) === 'wan' ? toDiffusersKeys(weights) : weights;
  const config = readWanConfig(name, raw, arrays);
  const params = loadParams(name, arrays, wanShapes(config.architecture), { ...options, asLoaded: forOnePicture });
  return { config, params };
}

/** Opens the autoencoder of Wan or Qwen-Image for single pictures. */
export function openWan(source: TokenizerSource, options: FamilyOptions): Tokenizer {
  const { config, params } = loadWan(source.name, source.weights, source.config, options);
  const { architecture, factor, normalisation } = config;
  const imageSize = options.imageSize ?? 256;
  const side = imageSize / factor;
  return {
    name: config.isQwenImage ? 'qwen-image-vae' : 'wan-vae',
    family: 'wan',
    imageSize,
    sizeMultiple: factor,
    latentShape: [side * side, architecture.zDim],
    grid: [side, side],
    // Those of the file: one picture needs the last temporal slice of every kernel.
    parameters: countParameters({ shapes: () => wanShapes(architecture) }),
    digest: source.digest,
    posterior: 'mode',
    normalisation,
    pixels: 'RGB in [-1, 1]',
    encode: (images, { noise } = {}) =>
      tidied(() => {
        const moments = posterior(toTokens(encodeMoments(architecture, params, images)));
        return (noise ? samplePosterior(moments, noise) : moments.mean) as Tensor3D;
      }),
    decode: latents => tidied(() => decodeLatents(architecture, params, toGrid(latents))),
    dispose: () => tf.dispose(params),
  };
}
