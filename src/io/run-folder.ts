import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { messageOf, UserError } from '../base/index.js';

/** A training run on disk, as far as reading it goes. */
export interface Run {
  folder: string;
  /** config.yaml: `model`, `options` (every flag resolved), `network` (what opening the model needs). */
  config: Record<string, unknown>;
  /** run.json: version, engine, seed, input digests, command lines, … */
  info: Record<string, unknown>;
  /** Updates done at the newest checkpoint. */
  step: number;
  /** Folder of the newest checkpoint: model, ema and optimizer .safetensors, state.json. */
  checkpoint: string;
}

/** Names in a run folder. */
export const RUN = { config: 'config.yaml', info: 'run.json', checkpoints: 'checkpoints', latest: 'latest' } as const;

/** Whether a folder holds a run, with or without a checkpoint. */
export function isRun(folder: string): boolean {
  return existsSync(join(folder, RUN.config)) && existsSync(join(folder, RUN.info));
}

/** Opens a run at its newest checkpoint. @throws UserError where there is no run, or nothing was saved yet. */
export async function readRun(folder: string): Promise<Run> {
  const { config, info } = await readRunConfig(folder);
  const newest = await newestCheckpoint(folder);
  if (!newest) throw new UserError(`${folder}: this run has saved no checkpoint yet; go on with --resume`);
  return { folder, config, info, ...newest };
}

/** The run's configuration and information, also before its first checkpoint. */
export async function readRunConfig(folder: string): Promise<Pick<Run, 'config' | 'info'>> {
  if (!existsSync(folder)) throw new UserError(`${folder}: no such run folder`);
  if (!isRun(folder)) throw new UserError(`${folder}: is no run folder: ${RUN.config} or ${RUN.info} is missing`);
  return {
    config: await readRecord(join(folder, RUN.config), text => parse(text) as unknown),
    info: await readRecord(join(folder, RUN.info), text => JSON.parse(text) as unknown),
  };
}

async function readRecord(path: string, read: (text: string) => unknown): Promise<Record<string, unknown>> {
  try {
    const content = read(await readFile(path, 'utf8'));
    if (content === null || typeof content !== 'object' || Array.isArray(content)) throw new Error('it holds no map');
    return content as Record<string, unknown>;
  } catch (error) {
    throw new UserError(`${path}: cannot be read: ${messageOf(error).split('\n')[0]}`);
  }
}

/** The checkpoint that `latest` names, or the one of the highest step where that pointer is missing. */
export async function newestCheckpoint(folder: string): Promise<{ step: number; checkpoint: string } | undefined> {
  const steps = await checkpointSteps(folder);
  const named = await readFile(join(folder, RUN.latest), 'utf8').catch(() => '');
  const pointed = steps.find(step => checkpointName(step) === named.trim());
  const step = pointed ?? steps.at(-1);
  return step === undefined ? undefined : { step, checkpoint: join(folder, RUN.checkpoints, checkpointName(step)) };
}

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
