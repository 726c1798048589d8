import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { sep } from 'node:path';
import { UserError } from '../base/index.js';
import type { NpyOptions } from '../io/index.js';

import { arrayFileStore, splitFragment } from './array-file.js';
import { arrayFiles, arrayFolderStore } from './array-folder.js';
import { DATASET_JSON, npyFolderStore, zipStore } from './dataset-json.js';
import { npzFolderStore } from './npz-items.js';
import type { PosteriorChoice } from './posterior.js';
import { shardStore } from './shards.js';
import type { LatentsStore } from './store.js';

/** Tells a dialect by what lies there, and opens it. */
export async function openStore(
  given: string,
  posterior: PosteriorChoice,
  options: NpyOptions = {},
): Promise<LatentsStore> {
  const { path } = splitFragment(given);
  if (!existsSync(path)) throw new UserError(`${path}: no such latents`);
  if ((await stat(path)).isDirectory()) return await openFolder(path, posterior, options);
  if (path.endsWith('.zip')) return await zipStore(path, posterior, options);
  return await arrayFileStore(given, options);
}

async function openFolder(path: string, posterior: PosteriorChoice, options: NpyOptions): Promise<LatentsStore> {
  const top = await readdir(path);
  const unfinished = top.find(name => /^unfinished_rank\d+\.json$/.test(name));
  if (unfinished !== undefined)
    throw new UserError(`${path}: is unfinished (${unfinished}); run the same command again with --resume`);
  const tensors = top.filter(name => name.endsWith('.safetensors'));
  // Where shards have LightningDiT's names, other safetensors beside them are something else.
  const named = tensors.filter(name => /^latents_rank\d+_shard\d+\./.test(name));
  const shards = named.length > 0 ? named : tensors;
  if (shards.length > 0) return await shardStore(path, shards);
  const files = (await readdir(path, { recursive: true })).map(name => name.split(sep).join('/')).sort();
  const npy = files.filter(name => name.endsWith('.npy'));
  if (top.includes(DATASET_JSON) && npy.length > 0) return await npyFolderStore(path, npy, posterior, options);
  const npz = files.filter(name => name.endsWith('.npz'));
  if (npz.length > 0) return await npzFolderStore(path, npz, posterior, options);
  if (arrayFiles(files).length > 0) return await arrayFolderStore(path, files, options);
  throw new UserError(
    `${path}: holds no latents: neither LightningDiT's shards, nor .npz, .npy or .pt files, nor .parquet, .arrow or .h5`,
  );
}
