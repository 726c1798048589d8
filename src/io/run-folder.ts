import { existsSync, statSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { silentLog, UserError, type Log } from '../base/index.js';
import { sha256OfFile } from './digest.js';
import { readJson, readYaml } from './documents.js';
import { RUN, type WeightsName } from './names.js';
import { openSafetensors } from './safetensors.js';

/** A training run on disk, as far as reading it goes. */
export interface Run {
  folder: string;
  /** config.yaml: `model`, `options` (every flag resolved), `network` (what opening the model needs). */
  config: Record<string, unknown>;
  /** run.json: version, engine, seed, input digests, command lines, … */
  info: Record<string, unknown>;
  /** Updates done at the checkpoint. */
  step: number;
  /** Folder of the newest intact checkpoint: model, ema and optimizer .safetensors, state.json. */
  checkpoint: string;
  /** The weights asked for in it, and their SHA-256. */
  weights: string;
  digest: string;
}

export interface ReadRunOptions {
  /** `ema`: the moving average where the run keeps one. */
  weights?: WeightsName | undefined;
  log?: Log | undefined;
}

/** What a checkpoint's folder says of it. */
export const STATE = 'state.json';

/** Whether a folder holds a run, with or without a checkpoint. */
export function isRun(folder: string): boolean {
  return existsSync(join(folder, RUN.config)) && existsSync(join(folder, RUN.info));
}

/**
 * Opens a run at its newest checkpoint, or where the weights in that are damaged, at the one before.
 * @throws UserError if there is no run, nothing was saved yet, or no checkpoint is intact.
 */
export async function readRun(folder: string, { weights = 'ema', log = silentLog }: ReadRunOptions = {}): Promise<Run> {
  const { config, info } = await readRunConfig(folder);
  const found = await newestWhole(folder, log, async ({ step, checkpoint }) => {
    const { files } = await readCheckpointState(checkpoint);
    const averaged = files ? 'ema.safetensors' in files : existsSync(join(checkpoint, 'ema.safetensors'));
    const file = weights === 'ema' && averaged ? 'ema.safetensors' : 'model.safetensors';
    const digest = await verifiedDigest(join(checkpoint, file), files?.[file]);
    return { step, checkpoint, weights: join(checkpoint, file), digest };
  });
  if (!found) throw new UserError(`${folder}: this run has saved no checkpoint yet; continue it with --resume`);
  return { folder, config, info, ...found };
}

/** The run's configuration and information, also before its first checkpoint. */
export async function readRunConfig(folder: string): Promise<Pick<Run, 'config' | 'info'>> {
  if (!existsSync(folder)) throw new UserError(`${folder}: no such run folder`);
  if (!isRun(folder)) throw new UserError(`${folder}: is not a run folder: ${RUN.config} or ${RUN.info} is missing`);
  return {
    config: asRecord(join(folder, RUN.config), await readYaml(join(folder, RUN.config))),
    info: await readRecord(join(folder, RUN.info)),
  };
}

/** A map from a JSON file; empty where there is no such file. @throws UserError where it is damaged. */
export async function readJsonRecord(path: string): Promise<Record<string, unknown>> {
  return existsSync(path) ? await readRecord(path) : {};
}

const readRecord = async (path: string): Promise<Record<string, unknown>> => asRecord(path, await readJson(path));

function asRecord(path: string, content: unknown): Record<string, unknown> {
  if (content === null || typeof content !== 'object' || Array.isArray(content))
    throw new UserError(`${path}: cannot be read: it is not a map`);
  return content as Record<string, unknown>;
}

export interface CheckpointPlace {
  step: number;
  checkpoint: string;
}

/** The checkpoint that `latest` names, or the one of the highest step where that pointer is missing. */
export async function newestCheckpoint(folder: string): Promise<CheckpointPlace | undefined> {
  return (await checkpointsNewestFirst(folder)).at(0);
}

async function checkpointsNewestFirst(folder: string): Promise<CheckpointPlace[]> {
  const steps = (await checkpointSteps(folder)).reverse();
  const named = await readFile(join(folder, RUN.latest), 'utf8').catch(() => '');
  const pointed = steps.filter(step => checkpointName(step) === named.trim());
  return [...new Set([...pointed, ...steps])].map(step => ({
    step,
    checkpoint: join(folder, RUN.checkpoints, checkpointName(step)),
  }));
}

/**
 * What `read` gives of the newest checkpoint that it does not refuse, with a warning that names what was damaged in the
 * newer ones; undefined where there is none at all. `read` refuses by a UserError.
 * @throws UserError where every checkpoint is damaged.
 */
export async function newestWhole<T>(
  folder: string,
  log: Log,
  read: (place: CheckpointPlace) => Promise<T>,
): Promise<T | undefined> {
  const damages: string[] = [];
  for (const place of await checkpointsNewestFirst(folder)) {
    try {
      const found = await read(place);
      for (const damage of damages) log.warn(`${damage}; going back to step ${place.step}`);
      return found;
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      damages.push(error.message);
    }
  }
  if (damages.length === 0) return undefined;
  throw new UserError(`${damages.join('; ')}; no checkpoint of this run is intact: train it again with --force`);
}

/** What state.json says besides the loop's own: the files saved with it and their SHA-256; older runs do not. */
export interface CheckpointState extends Record<string, unknown> {
  files?: Record<string, string>;
}

/** @throws UserError where state.json is missing, damaged, or another checkpoint's. */
export async function readCheckpointState(checkpoint: string): Promise<CheckpointState> {
  const path = join(checkpoint, STATE);
  const state: CheckpointState = await readRecord(path);
  if (checkpointName(state.step as number) !== basename(checkpoint))
    throw new UserError(`${path}: is damaged: it says step ${String(state.step)}`);
  return state;
}

/** SHA-256 of a file of a checkpoint. @throws UserError where it is not as it was saved. */
export async function verifiedDigest(path: string, saved: string | undefined): Promise<string> {
  if (!existsSync(path)) throw new UserError(`${path}: is missing`);
  const digest = await sha256OfFile(path);
  if (saved !== undefined && digest !== saved)
    throw new UserError(`${path}: is damaged: it has changed since it was saved (${statSync(path).size} bytes)`);
  // Runs of older versions hold no digests: whether the file is as long as its header says can be told.
  if (saved === undefined) await (await openSafetensors(path)).close();
  return digest;
}

/** The folder of a step's checkpoint, inside the run's checkpoints. */
export const checkpointName = (step: number): string => `step-${step}`;

/** Steps of the whole checkpoints of a run, ascending. */
export async function checkpointSteps(folder: string): Promise<number[]> {
  const names = await readdir(join(folder, RUN.checkpoints)).catch(() => []);
  return names
    .map(name => /^step-(\d+)$/.exec(name)?.[1])
    .filter(digits => digits !== undefined)
    .map(Number)
    .sort((a, b) => a - b);
}
