import { basename, dirname } from 'node:path';
import { UserError } from '../../base/index.js';
import { isImageName, openTar, sha256OfText, type TarFile, type TarMember } from '../../io/index.js';
import type { ImageSource } from '../dataset.js';

interface Sample {
  shard: TarFile;
  path: string;
  image: TarMember;
  /** Its `.cls` member, WebDataset's label. */
  label?: TarMember;
}

/**
 * Tar shards as WebDataset writes them: the members of one sample share their name up to the first dot; `.cls` holds
 * its label. Without any `.cls`, the folders inside the archive are the classes. Shards are indexed once (headers only)
 * and then read at any place. The digest covers the members' names and sizes.
 */
export async function openTars(name: string, paths: string[]): Promise<ImageSource> {
  const shards: TarFile[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(shards.map(shard => shard.close()));
  };
  try {
    const samples: Sample[] = [];
    for (const path of paths) {
      const shard = await openTar(path);
      shards.push(shard);
      samples.push(...samplesOf(path, shard));
    }
    if (samples.length === 0) throw new UserError(`${paths[0]}: holds no pictures (png, jpg, webp, …)`);
    const listing = samples.map(({ image }) => `${image.name} ${image.size}\n`).join('');
    return {
      name,
      count: samples.length,
      ...(await labelsOf(samples)),
      digest: sha256OfText(listing),
      pictureName: index => pictureName(samples[index]),
      stored: async index => {
        const sample = samples[index];
        return { name: pictureName(sample), bytes: await sample.shard.read(sample.image) };
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

const pictureName = ({ path, image }: Sample): string => `${path}:${image.name}`;

/** Up to the first dot of the last part. */
const keyOf = (member: string): string => {
  const dot = member.indexOf('.', member.lastIndexOf('/') + 1);
  return dot < 0 ? member : member.slice(0, dot);
};

function samplesOf(path: string, shard: TarFile): Sample[] {
  const labels = new Map(
    shard.members.filter(member => member.name.endsWith('.cls')).map(member => [keyOf(member.name), member]),
  );
  return shard.members
    .filter(member => isImageName(member.name) && !basename(member.name).startsWith('.'))
    .map(image => ({ shard, path, image, label: labels.get(keyOf(image.name)) }));
}

async function labelsOf(samples: Sample[]): Promise<{ classes: string[]; labels?: Int32Array }> {
  if (samples.some(sample => sample.label)) return await writtenLabels(samples);
  const folders = samples.map(({ image }) => dirname(image.name).replace(/^\.\/?/, ''));
  const classes = [...new Set(folders)].sort();
  if (classes.length < 2 || classes[0] === '') return { classes: [] };
  const labelOf = new Map(classes.map((folder, label) => [folder, label]));
  return { classes, labels: Int32Array.from(folders, folder => labelOf.get(folder)!) };
}

/** Whole numbers are labels; any other words are class names, in byte order. */
async function writtenLabels(samples: Sample[]): Promise<{ classes: string[]; labels: Int32Array }> {
  const words: string[] = [];
  for (const sample of samples) {
    if (!sample.label) throw new UserError(`${pictureName(sample)}: has no .cls member, though others have one`);
    words.push(
      Buffer.from(await sample.shard.read(sample.label))
        .toString('utf8')
        .trim(),
    );
  }
  const numeric = words.every(word => /^\d{1,9}$/.test(word));
  const classes = numeric
    ? Array.from({ length: 1 + words.reduce((most, word) => Math.max(most, Number(word)), 0) }, (_, i) => String(i))
    : [...new Set(words)].sort();
  const labelOf = new Map(classes.map((word, label) => [word, label]));
  return { classes, labels: Int32Array.from(words, word => labelOf.get(numeric ? String(Number(word)) : word)!) };
}
