import { createHash } from 'node:crypto';
import { EXIT, messageOf, UserError } from '../base/index.js';
import { alone, gatherParts, shareOf } from '../distributed/index.js';
import { imageMode } from '../io/index.js';
import { severalAtOnce } from './batch.js';
import type { ImageDataset, StoredImage } from './dataset.js';
import { findDuplicates, type Compared, type Duplicate } from './duplicates.js';
import { indicesOf, type InspectOptions } from './inspect.js';
import { lookOf } from './perceptual.js';

export interface SurveyOptions extends InspectOptions {
  /** The side that images are wanted at: smaller ones are named. */
  size?: number | undefined;
  /** Bits in which the hashes of near duplicates may differ; 0: exact duplicates only. */
  near: number;
}

/** Something about an image that one would want to know before training. */
export interface Finding {
  index: number;
  image: string;
  kind: 'unreadable' | 'small' | 'duplicate' | 'near duplicate';
  problem: string;
  /** The image that it duplicates. */
  like?: string;
  /** Bits in which their hashes differ. */
  distance?: number;
}

export interface Survey {
  /** By image; those that cannot be read first. */
  findings: Finding[];
  /** Images by `width×height`, the most frequent first. */
  sizes: [size: string, images: number][];
  /** Images by what they are before they become 8-bit RGB, the most frequent first. */
  modes: [mode: string, images: number][];
  /** Duplicates of images with another label. */
  contradictions: number;
}

/** An image as one look at it finds it. */
type Seen = Readable | Unreadable;

interface Readable extends Compared {
  width: number;
  height: number;
  mode: string;
}

interface Unreadable {
  index: number;
  problem: string;
}

/** Decodes every image once, each rank its share, and says what is wrong with which; all ranks learn all of it. */
export async function surveyImages(dataset: ImageDataset, options: SurveyOptions): Promise<Survey> {
  const { communicator = alone, near, size = 0 } = options;
  const seen = (await gatherParts(communicator, await lookAtShare(dataset, options))).flat();
  const readable = seen.filter(image => 'pixels' in image);
  const duplicates = findDuplicates(readable, near);
  const isSmall = ({ width, height }: Readable): boolean => Math.min(width, height) < size;
  const found: Omit<Finding, 'image'>[] = [
    ...seen.filter(image => 'problem' in image).map(image => ({ ...image, kind: 'unreadable' as const })),
    ...readable.filter(isSmall).map(({ index, width, height }) => ({
      index,
      kind: 'small' as const,
      problem: `${width}×${height} would be enlarged to ${size}`,
    })),
    ...duplicates.map(duplicate => duplicateFinding(dataset, duplicate)),
  ];
  const isUnreadable = ({ kind }: Pick<Finding, 'kind'>): number => Number(kind === 'unreadable');
  return {
    findings: found
      .sort((a, b) => isUnreadable(b) - isUnreadable(a) || a.index - b.index)
      .map(finding => ({ ...finding, image: dataset.imageName(finding.index) })),
    sizes: mostFrequent(readable.map(({ width, height }) => `${width}×${height}`)),
    modes: mostFrequent(readable.map(({ mode }) => mode)),
    contradictions: duplicates.filter(duplicate => contradicts(dataset, duplicate)).length,
  };
}

async function lookAtShare(dataset: ImageDataset, options: SurveyOptions): Promise<Seen[]> {
  const { communicator = alone, progress, signal } = options;
  let done = 0;
  return await severalAtOnce(indicesOf(shareOf(communicator, dataset.count)), async index => {
    if (signal.aborted) throw new UserError('interrupted', EXIT.interrupted);
    try {
      return await lookAt(dataset, index);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      return { index, problem: messageOf(error).replace(`${dataset.imageName(index)}: `, '') };
    } finally {
      progress.update(++done);
    }
  });
}

async function lookAt(dataset: ImageDataset, index: number): Promise<Readable> {
  const image = await dataset.read(index);
  const { width, height, data } = image;
  const mode = await modeOf(await dataset.stored(index));
  const pixels = createHash('sha1').update(`${width} ${height} `).update(data).digest('base64');
  return { index, width, height, mode, pixels, ...lookOf(image) };
}

const contradicts = ({ labels }: ImageDataset, { index, like }: Duplicate): boolean =>
  labels !== undefined && labels[index] !== labels[like];

function duplicateFinding(dataset: ImageDataset, duplicate: Duplicate): Omit<Finding, 'image'> {
  const { index, like, distance } = duplicate;
  const how = distance === undefined ? 'the same pixels as' : 'much like';
  return {
    index,
    kind: distance === undefined ? 'duplicate' : 'near duplicate',
    problem: `${how} an earlier image${contradicts(dataset, duplicate) ? ' of another class' : ''}`,
    like: dataset.imageName(like),
    ...(distance !== undefined && { distance }),
  };
}

async function modeOf(stored: StoredImage): Promise<string> {
  if ('data' in stored) return 'RGB';
  return await imageMode('path' in stored ? stored.path : stored.bytes);
}

/** How often each value occurs, the most frequent first, then the one that comes first. */
function mostFrequent(values: readonly string[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}
