import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { openLatents } from '../../src/latents/index.js';

/** Trains an autoencoder of a few thousand weights on 64 drawn images of 16 pixels. */
export const TRAIN = [
  ...['train', 'ae', '--data', 'synthetic:scenes?count=64&size=16', '--image-size', '16', '--patch-size', '8'],
  ...['--width', '16', '--depth', '1', '--heads', '2', '--latent-tokens', '3', '--latent-channels', '4'],
  ...['--batch-size', '6', '--evaluation-images', '4', '--log-every', '1', '--checkpoint-every', '5'],
  ...['--schedule', 'constant'],
];

/** Extracts latents of so many images; batches of four, shards of twenty. */
export const extraction = (tokenizer: string, images: number): string[] => [
  ...['extract', '--tokenizer', tokenizer, '--data', `synthetic:scenes?count=${images}&size=16`],
  ...['--batch-size', '4', '--shard-rows', '20'],
];

/** The loss of every step of a run. */
export function lossesOf(out: string): number[] {
  const rows: Record<string, string>[] = parse(readFileSync(join(out, 'metrics.csv'), 'utf8'), { columns: true });
  return rows.map(({ loss }) => Number(loss));
}

/** A sweep of some seconds: many fits, none of which converges. */
export const sweep = (latents: string, state: string, out: string): string[] => [
  ...['analyze-gmm', latents, '--components', '2-14', '--dims', '3', '--restarts', '4', '--tol', '0'],
  ...['--max-iter', '40', '--state', state, '--out', out, '--quiet'],
];

/** All latents of a folder, whatever its shards. */
export async function latentsOf(folder: string): Promise<Buffer> {
  const latents = await openLatents(folder, {});
  const rows = await latents.read(Array.from({ length: latents.count }, (_, i) => i));
  await latents.close();
  return Buffer.from(rows.buffer, rows.byteOffset, rows.byteLength);
}
