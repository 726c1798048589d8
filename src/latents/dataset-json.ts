import { join } from 'node:path';
import { z } from 'zod';
import { messageOf, UserError } from '../base/index.js';
import {
  classesFrom,
  memoryBytes,
  openNpy,
  openZip,
  type Classes,
  type NdArray,
  type NpyOptions,
} from '../io/index.js';
import { readForm } from './latents-json.js';
import { perImageStore, type Items } from './per-image.js';
import type { PosteriorChoice } from './posterior.js';
import type { LatentsStore } from './store.js';

export const DATASET_JSON = 'dataset.json';

const schema = z.object({
  labels: z
    .array(z.tuple([z.string(), z.union([z.int(), z.string()])]))
    .nullable()
    .optional(),
});

type Label = number | string;
type Dataset = z.infer<typeof schema>;

/** In EDM2's and REPA's files of this name, standard deviations follow the means. */
const MOMENTS = 'mean-std';

/** A folder as REPA has it: one .npy per image, and `dataset.json` with their classes. */
export async function npyFolderStore(
  folder: string,
  files: string[],
  posterior: PosteriorChoice,
  options: NpyOptions,
): Promise<LatentsStore> {
  const path = join(folder, DATASET_JSON);
  const paths = files.map(file => join(folder, file));
  const items = itemsOf(files, paths, () =>
    Promise.resolve({ read: index => readNpyAt(paths[index], options), close: () => Promise.resolve() }),
  );
  const dataset = await readForm(path, schema);
  return await perImageStore(items, about(folder, path, dataset, files, [path, ...paths]), posterior);
}

/** Such a folder as a zip archive, as in EDM2. */
export async function zipStore(path: string, posterior: PosteriorChoice, options: NpyOptions): Promise<LatentsStore> {
  const zip = await openZip(path);
  const members = [...zip.members.keys()];
  const files = members.filter(name => name.endsWith('.npy')).sort();
  try {
    if (files.length === 0)
      throw new UserError(
        `${path}: holds no .npy members${members.length > 0 ? `, but ${members[0]} and similar` : ''}; images are given with --data`,
      );
    const dataset = members.includes(DATASET_JSON)
      ? parseDataset(`${path}:${DATASET_JSON}`, Buffer.from(await zip.read(DATASET_JSON)).toString('utf8'))
      : {};
    const names = files.map(file => `${path}:${file}`);
    const items = itemsOf(files, names, async () => {
      const opened = await openZip(path);
      const read = async (index: number): Promise<NdArray> =>
        await (await openNpy(memoryBytes(names[index], await opened.read(files[index])), options)).read();
      return { read, close: () => opened.close() };
    });
    return await perImageStore(items, about(path, `${path}:${DATASET_JSON}`, dataset, files, [path]), posterior);
  } finally {
    await zip.close();
  }
}

function itemsOf(files: string[], names: string[], open: Items['open']): Items {
  return { names, flips: false, scaleAs: files[0].includes(MOMENTS) ? 'std' : undefined, open };
}

async function readNpyAt(path: string, options: NpyOptions): Promise<NdArray> {
  const file = await openNpy(path, options);
  return await file.read().finally(() => file.close());
}

function parseDataset(where: string, text: string): Dataset {
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    throw new UserError(`${where}: has no "labels" of [file, class] pairs: ${messageOf(error).split('\n')[0]}`);
  }
}

function about(name: string, where: string, { labels }: Dataset, files: string[], sources: string[]) {
  return { name, ...(labels && labelsOf(where, labels, files)), meta: {}, files: () => sources };
}

/** By file name; where the pairs name the images instead of the latents, both are paired in the order of their names. */
function labelsOf(where: string, pairs: [string, Label][], files: string[]): Classes {
  const byName = new Map(pairs);
  if (files.every(file => byName.has(file)))
    return asClasses(
      where,
      files.map(file => byName.get(file)!),
    );
  if (pairs.length !== files.length)
    throw new UserError(`${where}: names ${pairs.length} files, but there are latents of ${files.length} images`);
  const inOrder = [...pairs].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return asClasses(
    where,
    inOrder.map(([, label]) => label),
  );
}

function asClasses(where: string, labels: Label[]): Classes {
  const shape = [labels.length];
  const numbers = labels.filter(label => typeof label === 'number');
  const values =
    numbers.length === labels.length
      ? ({ shape, dtype: 'float64', data: Float64Array.from(numbers) } as const)
      : { shape, text: labels.map(String) };
  return classesFrom(where, values, labels.length);
}
