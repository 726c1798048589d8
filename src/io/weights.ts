import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../base/index.js';
import type { NdArray } from './array.js';
import { openBytes } from './bytes.js';
import { readAllArrays, type ArrayFile } from './lazy.js';
import { npzArrays } from './npz.js';
import { openPt } from './pt.js';
import { openSafetensors } from './safetensors.js';
import { openShards } from './shards.js';
import { selectContainer, selectFromTree } from './weights-container.js';
import { openZip } from './zip.js';

export interface WeightsOptions {
  /**
   * Which of several records of tensors in the file: a path of dict keys such as `ema` or `model.encoder`, or a prefix
   * of the tensors' names. Default: where the top level holds no tensors, the first of `ema`, `model_ema`, `state_dict`,
   * `model`, `module`, `params` that there is. `metadata.key` says which it was.
   */
  key?: string | undefined;
}

/**
 * Opens weights of any format: safetensors (also sharded, by its `.index.json`), a PyTorch checkpoint, .npz, or a folder
 * with one of them under its usual name. The format is told by the content, not the name. `module.` and `_orig_mod.`,
 * which parallel and compiled training put before every name, are cut off.
 */
export async function openWeights(path: string, { key }: WeightsOptions = {}): Promise<ArrayFile> {
  const file = folderMember(path);
  if (file.endsWith('.index.json')) return selectContainer(file, await openShards(file, openFlat), key);
  const kind = await kindOf(file);
  if (kind === 'pt') return await openCheckpoint(file, key);
  return selectContainer(file, await (kind === 'npz' ? npzArrays(file) : openSafetensors(file)), key);
}

/** Every tensor that `openWeights` finds. */
export async function readWeights(path: string, options: WeightsOptions = {}): Promise<Record<string, NdArray>> {
  const file = await openWeights(path, options);
  try {
    return await readAllArrays(file);
  } finally {
    await file.close();
  }
}

const openFlat = (path: string): Promise<ArrayFile> => openWeights(path);

async function openCheckpoint(path: string, key: string | undefined): Promise<ArrayFile> {
  const pt = await openPt(path);
  try {
    return selectFromTree(pt, key);
  } catch (error) {
    await pt.close();
    throw error;
  }
}

async function kindOf(path: string): Promise<'pt' | 'npz' | 'safetensors'> {
  const source = await openBytes(path);
  const start = await source.read(0, Math.min(2, source.size));
  await source.close();
  if (start[0] === 0x80) return 'pt';
  if (start[0] !== 0x50 || start[1] !== 0x4b) return 'safetensors';
  const zip = await openZip(path);
  await zip.close();
  return [...zip.members.keys()].some(name => name.endsWith('data.pkl')) ? 'pt' : 'npz';
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
      `${path}: is a folder without ${USUAL_WEIGHTS.slice(0, 2).join(', ')} or the like; name the weights file`,
    );
  return join(path, found);
}
