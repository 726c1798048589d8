import { RandomNumbers, UserError, type Log } from '../base/index.js';
import type { NamelessDType } from '../io/index.js';
import { splitRows, type RowSplit } from '../rows/index.js';
import { openLatents, type Latents } from './latents.js';
import { modelClasses } from './classes.js';

/* Latents as a diffusion model sees them: normalised per channel, each with a class. */

export interface NormalisedLatents {
  source: Latents;
  /** Images; rows beyond are their mirrored copies. */
  images: number;
  flips: boolean;
  /** Numbers per row. */
  width: number;
  mean: Float32Array;
  std: Float32Array;
  classes: number;
  /** Names of the classes, where they have some. */
  classNames?: string[];
  /** Class of a row; 0 for all where the latents have none. */
  label: (row: number) => number;
  /** Rows by number, normalised, [rows, tokens, channels]. */
  read: (rows: ArrayLike<number>) => Promise<Float32Array>;
  digest: string;
}

export interface NormalisedOptions {
  /** Default: where there are some. */
  flips?: boolean | undefined;
  classes?: number | undefined;
  /** Names of a model's classes, which the latents' classes are found among. */
  classNames?: string[] | undefined;
  /** Leave out rows that hold NaN or infinite numbers. */
  dropNonfinite?: boolean | undefined;
  /** What the numbers of .npy and .npz files are where NumPy did not store the name of their type. */
  dtype?: NamelessDType | undefined;
  /** Default: the latents' own. */
  normalisation?: { mean: Float32Array; std: Float32Array } | undefined;
  log: Log;
}

/**
 * Opens latents as a diffusion model reads them: rows (z − mean) / std per channel, mirrored copies behind the images, and
 * a class per row. A constant channel is only centred, with a warning. The caller closes `source`.
 * @throws UserError for what is not latents, and for classes that are not among the model's.
 */
export async function openNormalised(path: string, options: NormalisedOptions): Promise<NormalisedLatents> {
  const { dropNonfinite, dtype: nameless, log } = options;
  const plain = await openLatents(path, { dropNonfinite, nameless, log });
  const flips = options.flips ?? plain.hasFlips;
  const source = flips ? await openLatents(path, { dropNonfinite, nameless, flips }) : plain;
  if (source !== plain) await plain.close();
  const { mean, std } = options.normalisation ?? (await usableStatistics(source, log));
  const { channels, tokens } = source;
  const { labels, classes, names } = modelClasses(source, options);
  const images = flips ? source.count / 2 : source.count;
  return {
    source,
    images,
    flips,
    width: tokens * channels,
    mean,
    std,
    classes,
    ...(names && { classNames: names }),
    label: row => labels?.[row % images] ?? 0,
    read: async rows => normalised(await source.read(rows), mean, std),
    digest: await source.digest(),
  };
}

/** A channel that never changes has nothing to be divided by. */
async function usableStatistics(source: Latents, log: Log): Promise<{ mean: Float32Array; std: Float32Array }> {
  const { mean, std } = await source.statistics();
  const dead = Array.from(std).filter(value => value === 0).length;
  if (dead > 0) log.warn(`${source.name}: ${dead} of ${std.length} channels are constant; they are only centred`);
  return { mean: Float32Array.from(mean), std: Float32Array.from(std, value => (value === 0 ? 1 : value)) };
}

/** (z − mean) / std per channel, in place. */
function normalised(data: Float32Array, mean: Float32Array, std: Float32Array): Float32Array {
  for (let i = 0; i < data.length; i++) {
    const c = i % mean.length;
    data[i] = (data[i] - mean[c]) / std[c];
  }
  return data;
}

/** Images to train on and images held out. @throws UserError where there are fewer than two. */
export function splitImages({ images, source }: NormalisedLatents, share: number, seed: number): RowSplit {
  if (images < 2)
    throw new UserError(
      `${source.name}: only ${images} row; at least two are needed, one to train on and one to hold out`,
    );
  return splitRows(images, share, seed);
}

/**
 * Rows of the index-th batch: every epoch is a permutation by seed, and where there are mirrored copies a coin decides
 * for each image.
 */
export function batchRows(
  { images, flips }: NormalisedLatents,
  train: Int32Array,
  seed: number,
): (index: number, size: number) => Int32Array {
  const random = new RandomNumbers(seed).for('latents');
  let epochAt = -1;
  let order: Int32Array = new Int32Array(0);
  const at = (position: number): number => {
    const epoch = Math.floor(position / train.length);
    if (epoch !== epochAt) order = random.at(epoch).permutation(train.length);
    epochAt = epoch;
    return train[order[position % train.length]];
  };
  return (index, size) => {
    const coins = random.for('flip').at(index).uniforms(size);
    return Int32Array.from({ length: size }, (_, i) => {
      const image = at(index * size + i);
      return flips && coins[i] < 0.5 ? image + images : image;
    });
  };
}
