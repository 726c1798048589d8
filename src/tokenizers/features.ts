import { UserError } from '../base/index.js';
import { tf, type Tensor3D, type Tensor4D } from '../engine/index.js';
import { openExtractor, openVit } from '../features/index.js';
import { UNNORMALISED } from './normalisation.js';
import type { OpenOptions, Tokenizer } from './tokenizer.js';

/** `vit:WEIGHTS`, `effnet-lite0:WEIGHTS` and `inception:WEIGHTS`: feature extractors in a tokenizer's place. */
export const isFeatureSpec = (spec: string): boolean => /^(vit|effnet-lite0|inception):./.test(spec);

/** Side to which images are cropped where nobody says otherwise; extractors resize to their own. */
const SIDE = 256;

/** A feature extractor as a tokenizer that cannot decode: one token per image, the features, or a transformer's patches. */
export async function openFeatures(spec: string, options: OpenOptions): Promise<Tokenizer> {
  return spec.startsWith('vit:') ? await openVitTokens(spec, options) : await openVectors(spec, options);
}

async function openVitTokens(spec: string, { imageSize, offline, log }: OpenOptions): Promise<Tokenizer> {
  const vit = await openVit(spec.slice('vit:'.length), 'patches', { offline, log });
  return {
    name: vit.name,
    family: 'features',
    imageSize: imageSize ?? SIDE,
    sizeMultiple: 1,
    latentShape: vit.shape,
    ...(vit.grid ? { grid: vit.grid } : {}),
    parameters: vit.parameters,
    digest: vit.digest,
    posterior: 'none',
    normalisation: UNNORMALISED,
    pixels: vit.input,
    encode: images => Promise.resolve(vit.tokens(images)),
    decode: () => Promise.reject(cannotDecode(spec)),
    dispose: vit.dispose,
  };
}

const cannotDecode = (spec: string): UserError => new UserError(`${spec}: gives features, which cannot be decoded`);

async function openVectors(spec: string, { imageSize = SIDE }: OpenOptions): Promise<Tokenizer> {
  const extractor = await openExtractor(spec);
  return {
    name: extractor.name,
    family: 'features',
    imageSize,
    sizeMultiple: 1,
    latentShape: [1, extractor.widths.pooled],
    parameters: undefined,
    digest: extractor.digest,
    posterior: 'none',
    normalisation: UNNORMALISED,
    pixels: extractor.input,
    encode: async images => {
      const pixels = tf.tidy(() => tf.round<Tensor4D>(images.add(1).mul(127.5)));
      try {
        const { pooled, ...others } = await extractor.features(pixels);
        const rows = pooled.reshape<Tensor3D>([images.shape[0], 1, extractor.widths.pooled]);
        tf.dispose([pooled, ...Object.values(others)]);
        return rows;
      } finally {
        pixels.dispose();
      }
    },
    decode: () => Promise.reject(cannotDecode(spec)),
    dispose: () => extractor.dispose(),
  };
}
