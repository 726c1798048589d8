import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT, UserError } from '../base/index.js';
import { makeFolder } from '../io/index.js';
import { LATENTS_JSON, readLatentsJson } from './latents-json.js';
import { readState, sameWork, stateFile, writeState, type WriterState } from './writer-state.js';
import type { LatentsDescription, LatentsWriterOptions } from './writer-options.js';

/** Pictures of a rank in a folder that is whole already, where it is the same work. */
export async function finishedRows(
  folder: string,
  description: LatentsDescription,
  rank: number,
): Promise<number | undefined> {
  const json = await readLatentsJson(folder);
  if (!json || existsSync(join(folder, stateFile(rank)))) return undefined;
  const { tokens, channels, grid, dtype, meta } = json;
  const { grid: wanted = null, dtype: wantedType = 'float32', ...now } = description;
  sameWork(
    folder,
    { tokens, channels, grid, dtype, meta },
    { tokens: now.tokens, channels: now.channels, grid: wanted, dtype: wantedType, meta: now.meta },
  );
  return json.shards.filter(({ file }) => rankOf(file) === rank).reduce((sum, { rows }) => sum + rows, 0);
}

/** A fresh start, or the shards that an interrupted run of the same work has left. */
export async function startState(
  folder: string,
  fresh: WriterState,
  { force = false, resume = false, ranks = 1 }: LatentsWriterOptions,
): Promise<WriterState> {
  const earlier = resume ? await readState(folder, fresh.rank) : undefined;
  if (earlier) sameWork(folder, earlier.work, fresh.work);
  const kept = new Set(earlier?.shards.map(({ file }) => file)).add(stateFile(fresh.rank));
  const present = existsSync(folder) ? await readdir(folder) : [];
  const ours = present.filter(name => belongsTo(fresh.rank, ranks, name) && !(earlier && kept.has(name)));
  if (ours.length > 0 && !earlier && !force) throw taken(folder, ours);
  await makeFolder(folder);
  // latents.json first: a folder that is being replaced must not look whole.
  for (const name of ours.sort((a, b) => Number(b === LATENTS_JSON) - Number(a === LATENTS_JSON)))
    await rm(join(folder, name), { force: true });
  if (!earlier) await writeState(folder, fresh);
  return earlier ?? fresh;
}

function taken(folder: string, names: string[]): UserError {
  return names.includes(LATENTS_JSON)
    ? new UserError(`${folder}: already holds latents; choose another --out, or --force replaces them`, EXIT.failed)
    : new UserError(
        `${folder}: holds ${names[0]} of an unfinished extraction; --resume goes on, --force starts again`,
        EXIT.failed,
      );
}

function rankOf(name: string): number | undefined {
  const rank = /^(?:latents|unfinished)_rank(\d+)/.exec(name)?.[1];
  return rank === undefined ? undefined : Number(rank);
}

/** Files that an extraction by this rank writes, half-written ones included; the first clears up after more ranks. */
function belongsTo(rank: number, ranks: number, name: string): boolean {
  if (name === LATENTS_JSON) return true;
  const owner = rankOf(name);
  return owner !== undefined && (owner < ranks ? owner : 0) === rank;
}
