import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { checked, readJson } from '../io/index.js';
import { FLOAT_DTYPES } from '../io/names.js';
import { LATENTS_JSON } from './names.js';

/** The description of a latents folder, next to LightningDiT's shards. */
export const latentsJson = z.object({
  format: z.literal('maetok latents 1'),
  count: z.int().positive(),
  tokens: z.int().positive(),
  channels: z.int().positive(),
  /** Height and width of two-dimensional latents. */
  grid: z.tuple([z.int().positive(), z.int().positive()]).nullable(),
  flips: z.boolean(),
  classes: z.array(z.string()).nullable(),
  dtype: z.enum(FLOAT_DTYPES),
  /** Per channel over all images and tokens; std is unbiased. */
  mean: z.array(z.number()),
  std: z.array(z.number()),
  shards: z
    .array(
      z.object({
        file: z.string().regex(/^[^/\\]+$/, 'must be a name in the same folder'),
        rows: z.int().nonnegative(),
      }),
    )
    .min(1),
  /** Tokenizer, data, crop, posterior and whatever else tells how they came to be. */
  meta: z.record(z.string(), z.unknown()),
});

export type LatentsJson = z.infer<typeof latentsJson>;

/** LightningDiT's name of a shard. */
export const shardName = (rank: number, shard: number): string =>
  `latents_rank${String(rank).padStart(2, '0')}_shard${String(shard).padStart(3, '0')}.safetensors`;

/** A shard's number among those of its rank. */
export const shardNumber = (file: string): number => Number(/_shard(\d+)\./.exec(file)?.[1]);

/** The file that names the images which are left out because they cannot be read; there where there are any. */
export const SKIPPED_JSON = 'skipped.json';

/** Those images. */
export async function readSkipped(folder: string): Promise<number[]> {
  const path = join(folder, SKIPPED_JSON);
  return existsSync(path) ? await readForm(path, z.array(z.int().nonnegative())) : [];
}

/** Reads a JSON file of a known form. */
export const readForm = async <T>(path: string, schema: z.ZodType<T>): Promise<T> =>
  checked(path, await readJson(path, 'JSON'), schema);

/** A folder's latents.json, if it has one. */
export async function readLatentsJson(folder: string): Promise<LatentsJson | undefined> {
  const path = join(folder, LATENTS_JSON);
  return existsSync(path) ? await readForm(path, latentsJson) : undefined;
}
