import { dirname } from 'node:path';
import { UserError } from '../../base/index.js';
import { isImageName, openTar, sha256OfText, type TarFile, type TarMember } from '../../io/index.js';
import type { ImageSource } from '../dataset.js';
import { named } from './arrays.js';

interface Sample {
  shard: TarFile;
  path: string;
  image: TarMember;
  /** Its `.cls` member, WebDataset's label. */
  label?: TarMember | undefined;
}

/**
 * Tar shards as webdataset 1.0.2 reads them: neighbouring members with one key (the name up to the first dot of its
 * last part) are one sample, what follows the dot is the field, in small letters. The image is the one field that is
 * an extension of images, or the `field` that is asked for; `.cls` holds the label. Without any `.cls`, the folders
 * inside the archive are the classes. Shards are indexed once (headers only) and then read at any place. The digest
 * covers the members' names and sizes.
 * @throws UserError where samples have no such field or several, a field twice, or members far from each other.
 */
export async function openTars(name: string, paths: string[], field?: string): Promise<ImageSource> {
  const shards: TarFile[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(shards.map(shard => shard.close()));
  };
  try {
    const samples: Sample[] = [];
    for (const path of paths) {
      const shard = await openTar(path);
      shards.push(shard);
      for (const group of groupsOf(path, shard)) {
        const image = imageMember(path, group, field);
        if (image) samples.push({ shard, path, image, label: group.fields.get('cls') });
      }
    }
    if (samples.length === 0) throw new UserError(`${paths[0]}: holds no images (png, jpg, webp, …)`);
    const listing = samples.map(({ image }) => `${image.name} ${image.size}\n`).join('');
    return {
      name,
      count: samples.length,
      ...(await labelsOf(samples)),
      digest: sha256OfText(listing),
      imageName: index => imageName(samples[index]),
      stored: async index => {
        const sample = samples[index];
        return { name: imageName(sample), bytes: await sample.shard.read(sample.image) };
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

const imageName = ({ path, image }: Sample): string => `${path}:${image.name}`;

/** Members with one key. */
interface Group {
  key: string;
  fields: Map<string, TarMember>;
}

/** Key and field; names that begin with a dot or have none (webdataset passes them over) do not match. */
const NAME = /^((?:.*\/|)[^.]+)[.]([^/]*)$/s;
/** Names of webdataset's own records. */
const META = /^__[^/]*__($|\/)/;

function groupsOf(path: string, shard: TarFile): Group[] {
  const groups = new Map<string, Group>();
  let current: Group | undefined;
  for (const member of shard.members) {
    const match = NAME.exec(member.name);
    if (!match || META.test(member.name)) continue;
    const [, key, suffix] = match;
    const field = suffix.toLowerCase();
    if (current?.key !== key) {
      if (groups.has(key))
        throw new UserError(
          `${path}: the members of sample '${key}' are not contiguous (${member.name} comes later), so that webdataset ` +
            'takes them for two samples; pack them sorted: tar --sort=name',
        );
      current = { key, fields: new Map() };
      groups.set(key, current);
    }
    const twin = current.fields.get(field);
    if (twin)
      throw new UserError(`${path}: sample '${key}' has two members for ${field}: ${twin.name} and ${member.name}`);
    current.fields.set(field, member);
  }
  return [...groups.values()];
}

/** Undefined for a sample without any image, such as a file of notes. */
function imageMember(path: string, { key, fields }: Group, field: string | undefined): TarMember | undefined {
  const names = [...fields.keys()];
  const images = names.filter(name => isImageName(`.${name}`));
  const plain = images.filter(name => !name.includes('.'));
  if (field !== undefined && fields.has(field)) return fields.get(field);
  if (field === undefined && plain.length === 1) return fields.get(plain[0]);
  if (images.length === 0 && !fields.has('cls')) return undefined;
  const held = `${path}: sample '${key}' holds ${names.slice(0, 8).join(', ')}${names.length > 8 ? ', …' : ''}`;
  // Where even the labels are under dotted fields, samples have been merged, and no field is the image of all of them.
  const runTogether = names.some(name => name.endsWith('.cls'));
  const choices = images.length > 0 && !runTogether ? `, e.g. ${path}?picture=${images[0]}` : '';
  if (field !== undefined) throw new UserError(`${held}; ?picture=${field} is not one of them`);
  if (plain.length > 1) throw new UserError(`${held}: several images; say which one to use${choices}`);
  throw new UserError(
    `${held}, no png, jpg or similar: the key ends at the first dot of a name; rename its members without dots in the key` +
      (choices && `, or say which field is the image${choices}`),
  );
}

async function labelsOf(samples: Sample[]): Promise<{ classes: string[]; labels?: Int32Array }> {
  if (samples.some(sample => sample.label)) return await writtenLabels(samples);
  const folders = samples.map(({ image }) => dirname(image.name).replace(/^\.\/?/, ''));
  const classes = [...new Set(folders)].sort();
  if (classes.length < 2 || classes[0] === '') return { classes: [] };
  const labelOf = new Map(classes.map((folder, label) => [folder, label]));
  return { classes, labels: Int32Array.from(folders, folder => labelOf.get(folder)!) };
}

/** Longer ones are names, such as identifiers. */
const isNumber = (word: string): boolean => /^\+?\d{1,7}$/.test(word);

/** Whole numbers are labels; where all are words instead, they are class names, in byte order. */
async function writtenLabels(samples: Sample[]): Promise<{ classes: string[]; labels?: Int32Array }> {
  const words: string[] = [];
  for (const sample of samples) {
    if (!sample.label) throw new UserError(`${imageName(sample)}: has no .cls member, though others have one`);
    const word = Buffer.from(await sample.shard.read(sample.label))
      .toString('utf8')
      .trim();
    if (word === '' || /^-\d+$/.test(word) || isNumber(word) !== isNumber(words[0] ?? word))
      throw new UserError(
        `${sample.path}:${sample.label.name}: contains '${word.slice(0, 40)}'; labels must be all whole numbers from 0, or all names`,
      );
    words.push(word);
  }
  if (isNumber(words[0])) return named({ labels: Int32Array.from(words, Number) });
  const classes = [...new Set(words)].sort();
  const labelOf = new Map(classes.map((word, label) => [word, label]));
  return { classes, labels: Int32Array.from(words, word => labelOf.get(word)!) };
}
