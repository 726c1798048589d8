import { existsSync } from 'node:fs';
import { open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { UserError } from '../base/index.js';
import { tf } from '../engine/index.js';
import {
  checkpointName,
  checkpointSteps,
  makeFolder,
  readCheckpointState,
  readSafetensors,
  RUN,
  sha256OfFile,
  STATE,
  verifiedDigest,
  writeFileAtomic,
  writeSafetensors,
  type LazyArray,
} from '../io/index.js';
import { paramsFrom, prefixed, type Params } from '../nn/index.js';
import { MAIN, type NetworkState } from './network.js';
import type { WindowState } from './report.js';

/** The loop's own state; small, exact, readable. */
export interface LoopState {
  /** Updates done, skipped ones included. */
  step: number;
  skipped: number;
  skippedInARow: number;
  /** Means under way since the last row of metrics.csv. */
  window: WindowState;
}

export interface Checkpoint {
  loop: LoopState;
  networks: Record<string, NetworkState>;
}

/**
 * Writes `checkpoints/step-N` beside its place and renames it there, points `latest` at it, and removes all but the
 * `keep` newest. A crash at any instant leaves the former checkpoints whole.
 */
export async function saveCheckpoint(folder: string, { loop, networks }: Checkpoint, keep: number): Promise<void> {
  const all = join(folder, RUN.checkpoints);
  const name = checkpointName(loop.step);
  const partial = join(all, `${name}.${process.pid}.partial`);
  if (!existsSync(join(all, name))) {
    await makeFolder(partial);
    try {
      const files: Record<string, string> = {};
      for (const [network, params] of Object.entries(filesOf(networks))) {
        const file = `${network}.safetensors`;
        await writeSafetensors(join(partial, file), lazily(params));
        files[file] = await sha256OfFile(join(partial, file));
      }
      await writeFileAtomic(join(partial, STATE), `${JSON.stringify({ ...loop, files }, null, 2)}\n`);
      await syncFolder(partial);
      await rename(partial, join(all, name));
    } catch (error) {
      await rm(partial, { recursive: true, force: true });
      throw error;
    }
    await syncFolder(all);
  }
  await writeFileAtomic(join(folder, RUN.latest), `${name}\n`, { force: true });
  const old = (await checkpointSteps(folder)).filter(step => step !== loop.step);
  for (const step of old.slice(0, Math.max(0, old.length - keep + 1))) await removeCheckpoint(folder, step);
}

/** Renames first, so that no half-removed folder ever has a checkpoint's name. */
async function removeCheckpoint(folder: string, step: number): Promise<void> {
  const path = join(folder, RUN.checkpoints, checkpointName(step));
  await rename(path, `${path}.partial`);
  await rm(`${path}.partial`, { recursive: true, force: true });
}

/** Removes what a killed process had begun to write or to remove, and checkpoints after `step`. */
export async function tidyCheckpoints(folder: string, step: number): Promise<void> {
  const all = join(folder, RUN.checkpoints);
  for (const name of await readdir(all).catch(() => []))
    if (name.endsWith('.partial')) await rm(join(all, name), { recursive: true, force: true });
  for (const later of (await checkpointSteps(folder)).filter(saved => saved > step))
    await removeCheckpoint(folder, later);
}

const loopState = z.object({
  step: z.int().nonnegative(),
  skipped: z.int().nonnegative(),
  skippedInARow: z.int().nonnegative(),
  window: z.record(z.string(), z.object({ sum: z.number(), count: z.number() })),
});

/** Reads a checkpoint; its tensors are the caller's. @throws UserError that names what is damaged. */
export async function loadCheckpoint(checkpoint: string): Promise<Checkpoint> {
  const { files, ...state } = await readCheckpointState(checkpoint);
  const outcome = loopState.safeParse(state);
  if (!outcome.success)
    throw new UserError(`${join(checkpoint, STATE)}: is damaged: no ${outcome.error.issues[0].path.join('.')} in it`);
  const loop: LoopState = outcome.data;
  for (const file of Object.keys(files ?? { 'model.safetensors': '', 'optimizer.safetensors': '' }))
    await verifiedDigest(join(checkpoint, file), files?.[file]);
  const read = async (file: string): Promise<Params> =>
    paramsFrom(await readSafetensors(join(checkpoint, `${file}.safetensors`)));
  const optimizers = await read('optimizer');
  const networks: Record<string, NetworkState> = {
    [MAIN]: {
      weights: await read('model'),
      ema: existsSync(join(checkpoint, 'ema.safetensors')) ? await read('ema') : undefined,
      optimizer: stateOf(MAIN, optimizers),
    },
  };
  for (const file of await readdir(checkpoint)) {
    const phase = /^phase-(.+)\.safetensors$/.exec(file)?.[1];
    if (phase !== undefined)
      networks[phase] = { weights: await read(`phase-${phase}`), optimizer: stateOf(phase, optimizers) };
  }
  return { loop, networks };
}

/** File name (without its ending) → tensors. The state of a phase's optimizer stands under the phase's name. */
function filesOf(networks: Record<string, NetworkState>): Record<string, Params> {
  const files: Record<string, Params> = { optimizer: {} };
  for (const [name, { weights, ema, optimizer }] of Object.entries(networks)) {
    files[name === MAIN ? 'model' : `phase-${name}`] = weights;
    if (ema) files.ema = ema;
    Object.assign(files.optimizer, name === MAIN ? optimizer : prefixed(optimizer, `phase-${name}`));
  }
  return files;
}

function stateOf(network: string, optimizers: Params): Params {
  const start = network === MAIN ? '' : `phase-${network}.`;
  const entries = Object.entries(optimizers).filter(([name]) =>
    network === MAIN ? !name.startsWith('phase-') : name.startsWith(start),
  );
  return Object.fromEntries(entries.map(([name, tensor]) => [name.slice(start.length), tensor]));
}

/** Read one at a time while the file is written, so that the host never holds a second copy of the whole. */
function lazily(params: Params): Record<string, LazyArray> {
  return Object.fromEntries(
    Object.entries(params).map(([name, tensor]) => {
      const { shape } = tensor;
      const read = async () => ({ shape, dtype: 'float32' as const, data: (await tensor.data()) as Float32Array });
      return [name, { shape, dtype: 'float32', read }];
    }),
  );
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Frees a checkpoint's tensors. */
export function disposeCheckpoint({ networks }: Checkpoint): void {
  tf.dispose(Object.values(networks) as never);
}
