import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { EXIT, messageOf, refuseOtherWork, shown, UserError } from '../base/index.js';
import type { Share } from '../distributed/index.js';
import { writeFileAtomic } from '../io/index.js';
import { readForm } from './latents-json.js';

/** Progress of one rank, kept on disk until the whole folder is finished. */
const schema = z.object({
  /** What is being written; resuming needs the same. */
  work: z.record(z.string(), z.unknown()),
  rank: z.int().nonnegative(),
  flips: z.boolean().optional(),
  labels: z.boolean().optional(),
  shards: z.array(
    z.object({
      file: z.string(),
      rows: z.int().positive(),
      /** The images `start` to before `end`, less those that were skipped. */
      start: z.int().nonnegative(),
      end: z.int().positive(),
    }),
  ),
  /** Images that cannot be read. */
  skipped: z.array(z.int().nonnegative()),
});

export type WriterState = z.infer<typeof schema>;
export type ShardRecord = WriterState['shards'][number];

export const stateFile = (rank: number): string => `unfinished_rank${String(rank).padStart(2, '0')}.json`;

export const newState = (rank: number, work: Record<string, unknown>): WriterState => ({
  work,
  rank,
  shards: [],
  skipped: [],
});

/** What every rank has left in a folder, by rank. */
export async function readStates(folder: string): Promise<WriterState[]> {
  const names = (await readdir(folder).catch(() => [])).filter(name => /^unfinished_rank\d+\.json$/.test(name));
  const states = await Promise.all(names.map(name => readState(join(folder, name))));
  return states.sort((a, b) => a.rank - b.rank);
}

async function readState(path: string): Promise<WriterState> {
  return await readForm(path, schema).catch((error: unknown) => {
    throw new UserError(`${messageOf(error)}; --force starts again`, EXIT.failed);
  });
}

export async function writeState(folder: string, state: WriterState): Promise<void> {
  await writeFileAtomic(join(folder, stateFile(state.rank)), `${JSON.stringify(state)}\n`, { force: true });
}

/** Refuses to resume with different settings, naming what differs. */
export const requireSameWork = (folder: string, begun: object, now: object): void =>
  refuseOtherWork(folder, begun, now, {
    say: ({ name, before, now }) =>
      `--resume needs the original options, but ${name} was ${shown(before)} and is now ${shown(now)}; give the same options, or --force`,
  });

/** The shards of all ranks, in the order of their images. */
export const shardsOf = (states: readonly WriterState[]): ShardRecord[] =>
  states.flatMap(({ shards }) => shards).sort((a, b) => a.start - b.start);

/** Images that could not be read, in ascending order. */
export const skippedIn = (states: readonly WriterState[]): number[] =>
  [...new Set(states.flatMap(({ skipped }) => skipped))].sort((a, b) => a - b);

/** The images of `count` that are neither in a shard nor known to be unreadable. */
export function missingImages(states: readonly WriterState[], count: number): Share[] {
  const known: Share[] = [...shardsOf(states), ...skippedIn(states).map(image => ({ start: image, end: image + 1 }))];
  const missing: Share[] = [];
  let at = 0;
  for (const { start, end } of [...known.sort((a, b) => a.start - b.start), { start: count, end: count }]) {
    if (start > at) missing.push({ start: at, end: start });
    at = Math.max(at, end);
  }
  return missing;
}
