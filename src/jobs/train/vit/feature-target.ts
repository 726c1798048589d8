import { existsSync, statSync } from 'node:fs';
import { UserError, type Log } from '../../../base/index.js';
import type { Augmentation, ImageDataset } from '../../../data/index.js';
import { tf, type Tensor4D } from '../../../engine/index.js';
import { isRun } from '../../../io/index.js';
import { openLatents } from '../../../latents/index.js';
import { openTokenizer } from '../../../tokenizers/index.js';
import { negativeCosine, type AuxTarget } from '../../../tokenizers/vit/index.js';

/** Features of a frozen encoder, one vector per patch, that a tokenizer in training is to predict or to resemble. */
export interface FeatureTarget extends AuxTarget {
  digest: string;
  close(): Promise<void> | void;
}

export interface FeatureTargetOptions {
  /** The images' patches, row by row. */
  patches: number;
  train: ImageDataset;
  augmentation: Augmentation;
  log: Log;
}

/**
 * Opens features by what `--teacher` takes: an encoder that sees each batch as it is augmented, or latents that were
 * extracted before, which fit images that are not augmented.
 * @throws UserError where they do not fit the patches or the images.
 */
export async function openFeatureTarget(
  name: string,
  spec: string,
  options: FeatureTargetOptions,
): Promise<FeatureTarget> {
  return isPrecomputed(spec) ? await precomputed(name, spec, options) : await teacher(name, spec, options);
}

const isPrecomputed = (spec: string): boolean =>
  existsSync(spec) && (/\.np[yz]$/.test(spec) || (statSync(spec).isDirectory() && !isRun(spec)));

async function teacher(name: string, spec: string, { patches, log }: FeatureTargetOptions): Promise<FeatureTarget> {
  const encoder = await openTokenizer(spec, { log, only: 'encode' });
  const [tokens, width] = encoder.latentShape;
  const before = leadingTokens(spec, tokens, patches);
  // Frozen vision transformers resize images themselves, each in its own way.
  const takesAnySide = encoder.sizeMultiple === 1;
  return {
    name,
    width,
    weight: 1,
    distance: negativeCosine,
    digest: encoder.digest,
    features: async images => {
      const sized = takesAnySide ? images.clone() : tf.tidy(() => toSide(images, encoder.imageSize));
      const found = await encoder.encode(sized);
      sized.dispose();
      return tf.tidy(() => {
        const own = tf.slice(found, [0, before, 0], [-1, patches, -1]);
        found.dispose();
        return own;
      });
    },
    close: () => encoder.dispose(),
  };
}

async function precomputed(
  name: string,
  path: string,
  { patches, train, augmentation, log }: FeatureTargetOptions,
): Promise<FeatureTarget> {
  if (augmentation !== 'none')
    throw new UserError(`${path}: features extracted in advance fit unaugmented images only; give --augmentation none`);
  const latents = await openLatents(path, { log });
  const { tokens, channels, count } = latents;
  if (count !== train.count)
    throw new UserError(`${path}: holds features of ${count} images, ${train.name} has ${train.count} to train on`);
  const before = leadingTokens(path, tokens, patches);
  return {
    name,
    width: channels,
    weight: 1,
    distance: negativeCosine,
    digest: await latents.digest(),
    features: async (_, indices) => {
      const rows = await latents.read(Array.from(indices));
      return tf.tidy(() =>
        tf.slice(tf.tensor3d(rows, [indices.length, tokens, channels]), [0, before, 0], [-1, patches, -1]),
      );
    },
    close: () => latents.close(),
  };
}

/** Class token and registers before the patches. */
const MOST_EXTRA = 8;

function leadingTokens(spec: string, tokens: number, patches: number): number {
  const extra = tokens - patches;
  if (extra >= 0 && extra <= MOST_EXTRA) return extra;
  const side = (count: number): string =>
    Number.isInteger(Math.sqrt(count)) ? ` (${Math.sqrt(count)} × ${Math.sqrt(count)})` : '';
  throw new UserError(
    `${spec}: gives ${tokens} tokens${side(tokens)} for ${patches} patches${side(patches)}; its ratio of image size to patch size must equal the tokenizer’s --image-size / --patch-size (vit:WEIGHTS?size=… sets its image size)`,
  );
}

function toSide(images: Tensor4D, side: number): Tensor4D {
  const [, h, w] = images.shape;
  return h === side && w === side ? images.clone() : tf.image.resizeBilinear(images, [side, side], false, true);
}
