import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { EXIT, messageOf, refuseOtherWork, shown, UserError } from '../base/index.js';
import { writeFileAtomic } from '../io/index.js';
import { readForm } from './latents-json.js';
import type { ChannelMoments } from './statistics.js';

/** Progress of one rank, kept on disk until the whole folder is finished. */
const schema = z.object({
  /** What is being written; resuming needs the same. */
  work: z.record(z.string(), z.unknown()),
  rank: z.int().nonnegative(),
  flips: z.boolean().optional(),
  labels: z.boolean().optional(),
  done: z.boolean(),
  shards: z.array(
    z.object({
      file: z.string(),
      rows: z.int().positive(),
      tokens: z.int().positive(),
      mean: z.array(z.number()),
      squares: z.array(z.number()),
    }),
  ),
});

export type WriterState = z.infer<typeof schema>;

export const stateFile = (rank: number): string => `unfinished_rank${String(rank).padStart(2, '0')}.json`;

export function newState({ rank, ...work }: { rank: number } & Record<string, unknown>): WriterState {
  return { work, rank, done: false, shards: [] };
}

export async function readState(folder: string, rank: number): Promise<WriterState | undefined> {
  const path = join(folder, stateFile(rank));
  if (!existsSync(path)) return undefined;
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

export const recordOf = (
  file: string,
  rows: number,
  { tokens, mean, squares }: ChannelMoments,
): WriterState['shards'][number] => ({ file, rows, tokens, mean: [...mean], squares: [...squares] });

export const momentsOf = ({ tokens, mean, squares }: WriterState['shards'][number]): ChannelMoments => ({
  tokens,
  mean: Float64Array.from(mean),
  squares: Float64Array.from(squares),
});
