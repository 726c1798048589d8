import { basename, dirname, join } from 'node:path';
import { UserError } from '../base/index.js';
import { labelsByName, openNpz, type NpyOptions } from '../io/index.js';
import { perImageStore, type Items } from './per-image.js';
import type { PosteriorChoice, PosteriorScale } from './posterior.js';
import type { LatentsStore } from './store.js';

/** The array in an image's file: MAETok's latents, or the moments that MAR caches (means, then log-variances). */
const KINDS: { name: string; scaleAs?: PosteriorScale }[] = [{ name: 'zq' }, { name: 'moments', scaleAs: 'logvar' }];

/**
 * A folder of one .npz per image: MAETok's `path`, `zq`, `zq_flip`, or MAR's `moments`, `moments_flip`. The class is
 * the file's folder; where all lie in one folder, that of the image which `path` names.
 */
export async function npzFolderStore(
  folder: string,
  files: string[],
  posterior: PosteriorChoice,
  options: NpyOptions,
): Promise<LatentsStore> {
  const paths = files.map(file => join(folder, file));
  const first = await openNpz(paths[0]);
  await first.close();
  const kind = KINDS.find(({ name }) => first.names.includes(name));
  if (!kind)
    throw new UserError(
      `${paths[0]}: holds ${first.names.join(', ') || 'no array'}; an image's latents are called ${KINDS.map(({ name }) => name).join(' or ')}`,
    );
  const items: Items = {
    names: paths,
    flips: first.names.includes(`${kind.name}_flip`),
    scaleAs: kind.scaleAs,
    open: () =>
      Promise.resolve({
        read: (i, flipped) => readOne(paths[i], kind.name + (flipped ? '_flip' : ''), options),
        close: nothing,
      }),
  };
  const classNames = await classesOf(files, paths, first.names.includes('path'));
  return await perImageStore(
    items,
    { name: folder, ...(classNames && labelsByName(classNames)), meta: {}, files: () => paths },
    posterior,
  );
}

const nothing = (): Promise<void> => Promise.resolve();

async function readOne(path: string, name: string, options: NpyOptions) {
  const npz = await openNpz(path);
  try {
    return await npz.read(name, options);
  } finally {
    await npz.close();
  }
}

async function classesOf(files: string[], paths: string[], named: boolean): Promise<string[] | undefined> {
  const folders = files.map(file => dirname(file));
  if (new Set(folders).size > 1) return folders.map(folder => basename(folder));
  if (!named) return undefined;
  const classes: string[] = [];
  for (const path of paths) classes.push(basename(dirname(await imagePath(path))));
  return classes.every(name => name !== '' && name !== '.') ? classes : undefined;
}

async function imagePath(path: string): Promise<string> {
  const npz = await openNpz(path);
  try {
    const values = await npz.readValues('path');
    if ('text' in values) return values.text[0];
    throw new UserError(`${path}: its path is not text, so the class is unknown`);
  } finally {
    await npz.close();
  }
}
