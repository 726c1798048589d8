import { createHash } from 'node:crypto';
import { EXIT, messageOf, UserError, type Progress } from '../base/index.js';
import { imageMode, type RawImage } from '../io/index.js';
import { severalAtOnce } from './batch.js';
import type { ImageDataset, StoredImage } from './dataset.js';
import { findDuplicates, type Compared } from './duplicates.js';
import { evenlySpaced } from './inspect.js';
import { lookOf } from './perceptual.js';

export interface SurveyOptions {
  /** The side that images are wanted at: smaller ones are named. */
  size?: number | undefined;
  /** Bits in which the hashes of near duplicates may differ; 0: exact duplicates only. */
  near: number;
  progress: Progress;
  signal: AbortSignal;
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

/** Decodes every image once and says what is wrong with which. */
export async function surveyImages(dataset: ImageDataset, options: SurveyOptions): Promise<Survey> {
  const { size, near, progress, signal } = options;
  const [sizes, modes] = [new Map<string, number>(), new Map<string, number>()];
  const findings: Finding[] = [];
  let done = 0;
  const compared = await severalAtOnce(evenlySpaced(dataset.count, dataset.count), async index => {
    if (signal.aborted) throw new UserError('interrupted', EXIT.interrupted);
    const image = dataset.imageName(index);
    try {
      const pixels = await dataset.read(index);
      const { width, height } = pixels;
      countIn(sizes, `${width}×${height}`);
      countIn(modes, await modeOf(await dataset.stored(index)));
      if (size !== undefined && Math.min(width, height) < size)
        findings.push({ index, image, kind: 'small', problem: `${width}×${height} would be enlarged to ${size}` });
      return comparedOf(index, pixels);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      findings.push({ index, image, kind: 'unreadable', problem: messageOf(error).replace(`${image}: `, '') });
      return undefined;
    } finally {
      progress.update(++done);
    }
  });
  const duplicates = findDuplicates(
    compared.filter(image => image !== undefined),
    near,
  );
  const { labels } = dataset;
  for (const { index, like, distance } of duplicates)
    findings.push({
      index,
      image: dataset.imageName(index),
      kind: distance === undefined ? 'duplicate' : 'near duplicate',
      problem: `${distance === undefined ? 'the same pixels as' : 'much like'} an earlier image${labels && labels[index] !== labels[like] ? ' of another class' : ''}`,
      like: dataset.imageName(like),
      ...(distance !== undefined && { distance }),
    });
  const isUnreadable = ({ kind }: Finding): number => Number(kind === 'unreadable');
  return {
    findings: findings.sort((a, b) => isUnreadable(b) - isUnreadable(a) || a.index - b.index),
    sizes: mostFrequent(sizes),
    modes: mostFrequent(modes),
    contradictions: duplicates.filter(({ index, like }) => labels && labels[index] !== labels[like]).length,
  };
}

function comparedOf(index: number, image: RawImage): Compared {
  const { width, height, data } = image;
  const pixels = createHash('sha1').update(`${width} ${height} `).update(data).digest('base64');
  return { index, pixels, ...lookOf(image) };
}

async function modeOf(stored: StoredImage): Promise<string> {
  if ('data' in stored) return 'RGB';
  return await imageMode('path' in stored ? stored.path : stored.bytes);
}

function countIn(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

const mostFrequent = (counts: Map<string, number>): [string, number][] => [...counts].sort((a, b) => b[1] - a[1]);
