import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT, messageOf, silentLog, UserError, type Log } from '../base/index.js';
import { makeFolder, openSafetensors } from '../io/index.js';
import { readLatentsJson, readSkipped, SKIPPED_JSON } from './latents-json.js';
import { LATENTS_JSON } from './names.js';
import { newState, readStates, requireSameWork, stateFile, writeState, type WriterState } from './writer-state.js';
import type { LatentsDescription, LatentsWriterOptions } from './writer-options.js';

/** What a finished folder holds. */
export interface Written {
  /** Images. */
  rows: number;
  /** Images left out because they cannot be read. */
  skipped: number;
}

/** What a folder that is already complete and was made with the same settings holds. */
export async function finishedIn(folder: string, description: LatentsDescription): Promise<Written | undefined> {
  const json = await readLatentsJson(folder);
  if (!json || (await readStates(folder)).length > 0) return undefined;
  const { tokens, channels, grid, dtype, meta } = json;
  const { grid: wanted = null, dtype: wantedType = 'float32', ...now } = description;
  requireSameWork(
    folder,
    { tokens, channels, grid, dtype, meta },
    { tokens: now.tokens, channels: now.channels, grid: wanted, dtype: wantedType, meta: now.meta },
  );
  for (const { file, rows } of json.shards) {
    const damage = await damageOf(join(folder, file), rows);
    if (damage !== undefined)
      throw new UserError(`${damage}; the latents are incomplete: --force extracts them again`, EXIT.failed);
  }
  return { rows: json.count, skipped: (await readSkipped(folder)).length };
}

/**
 * Makes a folder ready for all ranks: empty of an extraction's files, or with the whole shards that an interrupted run of
 * the same work has left, of which it gives the records of every rank that had some.
 */
export async function readyFolder(
  folder: string,
  work: Record<string, unknown>,
  { force = false, resume = false, log = silentLog }: LatentsWriterOptions,
): Promise<WriterState[]> {
  const earlier = resume ? await readStates(folder) : [];
  for (const state of earlier) {
    requireSameWork(folder, state.work, work);
    await dropDamaged(folder, state, log);
  }
  const kept = new Set(earlier.flatMap(({ rank, shards }) => [stateFile(rank), ...shards.map(({ file }) => file)]));
  const present = existsSync(folder) ? await readdir(folder) : [];
  const others = present.filter(name => isOwn(name) && !kept.has(name));
  if (others.length > 0 && earlier.length === 0 && !force) throw taken(folder, others);
  await makeFolder(folder);
  // latents.json first: a folder that is being replaced must not look whole.
  for (const name of others.sort((a, b) => Number(b === LATENTS_JSON) - Number(a === LATENTS_JSON)))
    await rm(join(folder, name), { force: true });
  await rm(join(folder, SKIPPED_JSON), { force: true });
  if (earlier.length > 0) return earlier;
  const fresh = newState(0, work);
  await writeState(folder, fresh);
  return [fresh];
}

/** Leaves out the shards that are not whole: their images are encoded again. */
async function dropDamaged(folder: string, state: WriterState, log: Log): Promise<void> {
  const whole: WriterState['shards'] = [];
  for (const shard of state.shards) {
    const damage = await damageOf(join(folder, shard.file), shard.rows);
    if (damage === undefined) whole.push(shard);
    else log.warn(`${damage}; images ${shard.start} to ${shard.end - 1} are encoded again`);
  }
  if (whole.length === state.shards.length) return;
  state.shards = whole;
  await writeState(folder, state);
}

/** What is wrong with a shard that should hold at least `rows` images, as far as its header and its length tell. */
async function damageOf(path: string, rows: number): Promise<string | undefined> {
  if (!existsSync(path)) return `${path}: is missing`;
  try {
    const file = await openSafetensors(path);
    await file.close();
    const found = file.tensors.get('latents')?.shape[0] ?? 0;
    return found < rows ? `${path}: holds ${found} images where ${rows} were saved` : undefined;
  } catch (error) {
    return messageOf(error);
  }
}

function taken(folder: string, names: string[]): UserError {
  return names.includes(LATENTS_JSON)
    ? new UserError(`${folder}: already holds latents; choose another --out, or replace them with --force`, EXIT.failed)
    : new UserError(
        `${folder}: holds ${names[0]} of an unfinished extraction; --resume continues it, --force starts again`,
        EXIT.failed,
      );
}

/** Files that an extraction writes, half-written ones included. */
const isOwn = (name: string): boolean => name === LATENTS_JSON || /^(?:latents|unfinished)_rank\d+/.test(name);
