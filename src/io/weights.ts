import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../base/index.js';
import type { NdArray } from './array.js';
import { arraysOf, readAllArrays, type ArrayFile } from './lazy.js';
import { npzArrays } from './npz.js';
import { openPt } from './pt.js';
import { openSafetensors } from './safetensors.js';
import { openShards } from './shards.js';
import { flatTree, selectContainer, selectFromTree, type WeightsChoice } from './weights-container.js';
import { weightsFormat } from './weights-format.js';

/**
 * Opens weights of any format: safetensors (also sharded, by its `.index.json`), a PyTorch checkpoint, .npz, or a folder
 * with one of them under its usual name. The format is detected from the content, not the name. What parallel and compiled
 * training put into the names (`module.`, `_orig_mod.`) is taken out.
 */
export async function openWeights(path: string, choice: WeightsChoice = {}): Promise<ArrayFile> {
  const file = folderMember(path);
  if (file.endsWith('.index.json'))
    return await selected(await openShards(file, path => openFlat(path)), shards =>
      selectContainer(file, shards, choice),
    );
  if ((await weightsFormat(file)) === 'pt') return await selected(await openPt(file), pt => selectFromTree(pt, choice));
  return await selected(await openFlat(file, choice), flat => selectContainer(file, flat, choice));
}

/** Every tensor that `openWeights` finds. */
export async function readWeights(path: string, choice: WeightsChoice = {}): Promise<Record<string, NdArray>> {
  const file = await openWeights(path, choice);
  try {
    return await readAllArrays(file);
  } finally {
    await file.close();
  }
}

/** Arrays of weights, and the file that their numbers may still have to be read from. */
export interface WeightArrays {
  arrays: Record<string, NdArray>;
  close: () => Promise<void>;
}

/** Every tensor that `openWeights` finds, read from the file when its numbers are looked at, until that is closed. */
export async function openWeightArrays(path: string, choice: WeightsChoice = {}): Promise<WeightArrays> {
  const file = await openWeights(path, choice);
  try {
    return { arrays: await arraysOf(file), close: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** What comes of such tensors while the file is open: of large weights no more than one is in memory at a time. */
export async function withWeightArrays<T>(
  path: string,
  use: (arrays: Record<string, NdArray>) => T,
  choice: WeightsChoice = {},
): Promise<T> {
  const { arrays, close } = await openWeightArrays(path, choice);
  try {
    return use(arrays);
  } finally {
    await close();
  }
}

/** One file's tensors under the names in the file, which is how an index of shards knows them. */
async function openFlat(path: string, { nameless }: WeightsChoice = {}): Promise<ArrayFile> {
  const format = await weightsFormat(path);
  if (format === 'pt') return await selected(await openPt(path), flatTree);
  return await (format === 'npz' ? npzArrays(path, { nameless }) : openSafetensors(path));
}

/** The chosen weights of an open file; if the choice is refused, the file is closed. */
async function selected<F extends { close(): Promise<void> }>(
  file: F,
  select: (file: F) => ArrayFile,
): Promise<ArrayFile> {
  try {
    return select(file);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Names under which repositories and folders keep their weights, the preferred ones first. */
export const USUAL_WEIGHTS = ['model', 'diffusion_pytorch_model', 'pytorch_model'].flatMap(name =>
  ['.safetensors', '.safetensors.index.json', '.bin', '.bin.index.json'].map(end => name + end),
);

function folderMember(path: string): string {
  if (!existsSync(path) || !statSync(path).isDirectory()) return path;
  const found = USUAL_WEIGHTS.find(name => existsSync(join(path, name)));
  if (found === undefined)
    throw new UserError(
      `${path}: is a folder without ${USUAL_WEIGHTS.slice(0, 2).join(', ')} or similar; name the weights file`,
    );
  return join(path, found);
}
