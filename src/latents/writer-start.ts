import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT, messageOf, silentLog, UserError, type Log } from '../base/index.js';
import { alone } from '../distributed/index.js';
import { makeFolder, openSafetensors } from '../io/index.js';
import { readLatentsJson } from './latents-json.js';
import { LATENTS_JSON } from './names.js';
import { readState, requireSameWork, stateFile, writeState, type WriterState } from './writer-state.js';
import type { LatentsDescription, LatentsWriterOptions } from './writer-options.js';

/** Images of a rank in a folder that is already complete and was made with the same settings. */
export async function finishedRows(
  folder: string,
  description: LatentsDescription,
  rank: number,
): Promise<number | undefined> {
  const json = await readLatentsJson(folder);
  if (!json || existsSync(join(folder, stateFile(rank)))) return undefined;
  const { tokens, channels, grid, dtype, meta } = json;
  const { grid: wanted = null, dtype: wantedType = 'float32', ...now } = description;
  requireSameWork(
    folder,
    { tokens, channels, grid, dtype, meta },
    { tokens: now.tokens, channels: now.channels, grid: wanted, dtype: wantedType, meta: now.meta },
  );
  const own = json.shards.filter(({ file }) => rankOf(file) === rank);
  for (const { file, rows } of own) {
    const damage = await damageOf(join(folder, file), rows);
    if (damage !== undefined)
      throw new UserError(`${damage}; the latents are incomplete: --force extracts them again`, EXIT.failed);
  }
  return own.reduce((sum, { rows }) => sum + rows, 0);
}

/** A fresh start, or the shards that an interrupted run of the same work has left. */
export async function startState(
  folder: string,
  fresh: WriterState,
  { force = false, resume = false, communicator = alone, log = silentLog }: LatentsWriterOptions,
): Promise<WriterState> {
  const earlier = resume ? await readState(folder, fresh.rank) : undefined;
  if (earlier) {
    requireSameWork(folder, earlier.work, fresh.work);
    await dropDamaged(folder, earlier, log);
  }
  const kept = new Set(earlier?.shards.map(({ file }) => file)).add(stateFile(fresh.rank));
  const present = existsSync(folder) ? await readdir(folder) : [];
  const ours = present.filter(name => belongsTo(fresh.rank, communicator.size, name) && !(earlier && kept.has(name)));
  if (ours.length > 0 && !earlier && !force) throw taken(folder, ours);
  await makeFolder(folder);
  // latents.json first: a folder that is being replaced must not look whole.
  for (const name of ours.sort((a, b) => Number(b === LATENTS_JSON) - Number(a === LATENTS_JSON)))
    await rm(join(folder, name), { force: true });
  if (!earlier) await writeState(folder, fresh);
  return earlier ?? fresh;
}

/** Leaves out the first shard that is not whole and those behind it: their images are encoded again. */
async function dropDamaged(folder: string, { shards }: WriterState, log: Log): Promise<void> {
  for (const [i, { file, rows }] of shards.entries()) {
    const damage = await damageOf(join(folder, file), rows);
    if (damage === undefined) continue;
    const before = shards.slice(0, i).reduce((sum, shard) => sum + shard.rows, 0);
    log.warn(`${damage}; going back to image ${before}`);
    shards.length = i;
    return;
  }
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
