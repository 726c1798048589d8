import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UserError } from '../base/index.js';
import {
  asFloat64,
  classesFrom,
  elementCount,
  openSafetensors,
  readWeights,
  type Classes,
  type NdArray,
  type SafetensorsFile,
} from '../io/index.js';
import { readLatentsJson, type LatentsJson } from './latents-json.js';
import { pieceOf, pieceStore, type OpenPiece, type Piece } from './pieces.js';
import type { ChannelStatistics } from './statistics.js';
import type { LatentsStore, StoreReader } from './store.js';

const STATS = 'latents_stats.pt';

interface Shard {
  piece: Piece;
  labels: NdArray | undefined;
}

/**
 * A folder of LightningDiT's shards: safetensors files of `latents` [N, C, H, W], `latents_flip`, `labels` [N], used in
 * the order of their names, or in that of `latents.json` where there is one.
 */
export async function shardStore(folder: string, names: string[]): Promise<LatentsStore> {
  const json = await readLatentsJson(folder);
  const files = (json?.shards.map(shard => shard.file) ?? [...names].sort()).map(name => join(folder, name));
  const shards: Shard[] = [];
  for (const file of files) shards.push(await readShard(file));
  const labels = joinLabels(folder, shards);
  const statistics = json
    ? { mean: Float64Array.from(json.mean), std: Float64Array.from(json.std) }
    : await readStatistics(join(folder, STATS));
  const store = pieceStore(
    shards.map(({ piece }) => piece),
    {
      name: folder,
      ...labels,
      ...(json?.classes && { classes: json.classes }),
      statistics,
      meta: json?.meta ?? {},
      files: () => files,
    },
  );
  if (json) checkAgainst(folder, json, store);
  if (statistics && statistics.mean.length !== store.layout.channels)
    throw new UserError(
      `${folder}: statistics of ${statistics.mean.length} channels for latents of ${store.layout.channels}`,
    );
  return store;
}

/** Rows of shards that are not yet a whole folder, without their labels. */
export async function openShardRows(files: readonly string[]): Promise<StoreReader> {
  const shards: Shard[] = [];
  for (const file of files) shards.push(await readShard(file));
  const about = { name: dirname(files[0]), meta: {}, files: () => [...files] };
  return await pieceStore(
    shards.map(({ piece }) => piece),
    about,
  ).open();
}

async function readShard(path: string): Promise<Shard> {
  const file = await openSafetensors(path);
  try {
    const { tensors } = file;
    const latents = tensors.get('latents');
    if (!latents) throw new UserError(`${path}: holds no tensor 'latents', so it is not a shard of latents`);
    const piece = pieceOf(path, latents.shape, tensors.get('latents_flip')?.shape, () => openShard(path));
    const labels = tensors.has('labels') ? await file.read('labels') : undefined;
    return { piece, labels };
  } finally {
    await file.close();
  }
}

async function openShard(path: string): Promise<OpenPiece> {
  const file = await openSafetensors(path);
  const flipped = file.tensors.has('latents_flip') && { flipped: rowsOf(file, 'latents_flip') };
  return { latents: rowsOf(file, 'latents'), ...flipped, close: () => file.close() };
}

function rowsOf(file: SafetensorsFile, name: string): OpenPiece['latents'] {
  return {
    shape: file.tensors.get(name)!.shape,
    readRows: (start, end) => file.readRows(name, start, end),
  };
}

function joinLabels(folder: string, shards: Shard[]): Classes | undefined {
  const without = shards.find(({ labels }) => !labels);
  if (without && shards.every(({ labels }) => !labels)) return undefined;
  if (without) throw new UserError(`${without.piece.name}: has no labels, unlike the other shards`);
  const parts = shards.map(({ piece, labels }) => {
    const [rows = 1, ...rest] = labels!.shape;
    if (
      rows !== piece.rows ||
      (shards.length > 1 && elementCount(rest) !== elementCount(shards[0].labels!.shape.slice(1)))
    )
      throw new UserError(
        `${piece.name}: labels [${labels!.shape.join(', ')}] for ${piece.rows} rows; there must be one for each`,
      );
    return labels!;
  });
  const rows = parts.reduce((sum, { shape }) => sum + shape[0], 0);
  const [, ...rest] = parts[0].shape;
  const data = new Float64Array(rows * elementCount(rest));
  let at = 0;
  for (const part of parts) {
    data.set(asFloat64(part.data), at);
    at += part.data.length;
  }
  return classesFrom(folder, { shape: [rows, ...rest], dtype: 'float64', data }, rows);
}

/** LightningDiT's statistics, `mean` and `std` of shape [1, C, 1, 1]. */
async function readStatistics(path: string): Promise<ChannelStatistics | undefined> {
  if (!existsSync(path)) return undefined;
  const { mean, std } = await readWeights(path);
  return { mean: asFloat64(mean.data), std: asFloat64(std.data) };
}

function checkAgainst(folder: string, json: LatentsJson, { count, layout }: LatentsStore): void {
  const agrees = json.count === count && json.tokens === layout.tokens && json.channels === layout.channels;
  if (!agrees)
    throw new UserError(
      `${folder}: latents.json promises ${json.count} × [${json.tokens}, ${json.channels}], the shards hold ${count} × [${layout.tokens}, ${layout.channels}]`,
    );
}
