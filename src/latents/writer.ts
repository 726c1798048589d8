import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT, UserError } from '../base/index.js';
import { alone } from '../distributed/index.js';
import { asFloat32, readSafetensors, writeFileAtomic, writeSafetensors, type NdArray } from '../io/index.js';
import { nonFiniteRows } from './finite.js';
import { shardName, type LatentsJson } from './latents-json.js';
import { LATENTS_JSON } from './names.js';
import { toChannelsFirst, toTokens, widthOf, type LatentsLayout } from './layout.js';
import { channelMoments, mergeMoments, statisticsOf } from './statistics.js';
import type { LatentsDescription, LatentsWriterOptions } from './writer-options.js';
import { finishedRows, startState } from './writer-start.js';
import { momentsOf, newState, readState, recordOf, stateFile, writeState, type WriterState } from './writer-state.js';

export interface LatentsBatch {
  /** [n, tokens, channels]. */
  latents: Float32Array;
  /** Those of the mirrored images: with every batch or with none. */
  flipped?: Float32Array | undefined;
  /** One class per image: with every batch or with none. */
  labels?: ArrayLike<number> | undefined;
}

export interface LatentsWriter {
  /** Images of this rank that are safe on disk: a resumed extraction starts with the image of this number. */
  readonly rowsDone: number;
  append(batch: LatentsBatch): Promise<void>;
  /** Writes the shard at hand as far as it has come, so that an interruption loses nothing. */
  save(): Promise<void>;
  /** Writes what is left. The last rank to do so writes `latents.json`; until then the folder is unfinished. */
  finish(): Promise<void>;
}

/**
 * Writes a latents folder: LightningDiT's shards (`latents` and, where given, `latents_flip` as [N, C, H, W] and `labels`
 * int64), which its own loader reads, plus `latents.json` with per-channel mean and std over all images. Latents without
 * a grid are stored as [N, C, 1, tokens], so that the channels are where that loader normalises them.
 */
export async function createLatentsWriter(
  folder: string,
  description: LatentsDescription,
  options: LatentsWriterOptions = {},
): Promise<LatentsWriter> {
  const { communicator = alone, saveSeconds = 60 } = options;
  const { rank, size: ranks } = communicator;
  const finished = options.resume ? await finishedRows(folder, description, rank) : undefined;
  if (finished !== undefined) return finishedWriter(folder, finished);
  const shardRows = options.shardRows ?? defaultShardRows(description);
  const state = await startState(folder, newState({ ...description, shardRows, rank, ranks }), options);
  const shard = shardBuffer(shardRows, widthOf(description));
  await takeUp(folder, description, state, shard);
  let saved = { rows: shard.rows, at: performance.now() };
  /** Writes the shard as it is; under its name stands the longer one next. */
  const save = async (): Promise<void> => {
    if (shard.rows > saved.rows) {
      const record = await writeShard(folder, description, state, shard);
      await writeState(folder, { ...state, shards: [...state.shards, record] });
      toTokens(shard.used(shard.latents), description);
      if (shard.flipped) toTokens(shard.used(shard.flipped), description);
    }
    saved = { rows: shard.rows, at: performance.now() };
  };
  const flush = async (): Promise<void> => {
    if (shard.rows === 0) return;
    state.shards.push(await writeShard(folder, description, state, shard));
    await writeState(folder, state);
    shard.rows = 0;
    saved = { rows: 0, at: performance.now() };
  };
  return {
    get rowsDone() {
      return rowsOf(state) + saved.rows;
    },
    async append(batch) {
      const rows = checkBatch(description, state, rowsOf(state) + shard.rows, batch);
      for (let from = 0; from < rows;) {
        from += shard.take(batch, from, rows);
        if (shard.rows === shardRows) await flush();
      }
      if (performance.now() - saved.at > 1000 * saveSeconds) await save();
    },
    save,
    async finish() {
      await flush();
      state.done = true;
      await writeState(folder, state);
      await assemble(folder, description, ranks);
    },
  };
}

const LARGEST_SHARD = 2 ** 28;

const defaultShardRows = (layout: LatentsLayout): number =>
  Math.max(1, Math.min(10_000, Math.floor(LARGEST_SHARD / (4 * widthOf(layout)))));

const rowsOf = ({ shards }: WriterState): number => shards.reduce((sum, { rows }) => sum + rows, 0);

function finishedWriter(folder: string, rowsDone: number): LatentsWriter {
  return {
    rowsDone,
    append: () => Promise.reject(new UserError(`${folder}: is finished with ${rowsDone} images; --force starts again`)),
    save: () => Promise.resolve(),
    finish: () => Promise.resolve(),
  };
}

/** Continues a last shard that an interruption left incomplete. */
async function takeUp(
  folder: string,
  description: LatentsDescription,
  state: WriterState,
  shard: ShardBuffer,
): Promise<void> {
  const last = state.shards.at(-1);
  if (!last || last.rows * widthOf(description) >= shard.latents.length) return;
  const arrays = await readSafetensors(join(folder, last.file));
  // The file may be ahead of the record, where the crash came between the two.
  const tokensOf = (name: string): Float32Array => {
    const rows = Float32Array.from(asFloat32(arrays[name].data).subarray(0, last.rows * widthOf(description)));
    toTokens(rows, description);
    return rows;
  };
  state.shards.pop();
  const labels = state.labels === true ? Array.from(arrays.labels.data.slice(0, last.rows), Number) : undefined;
  const flipped = state.flips === true ? tokensOf('latents_flip') : undefined;
  shard.take({ latents: tokensOf('latents'), flipped, labels }, 0, last.rows);
}

interface ShardBuffer {
  rows: number;
  latents: Float32Array;
  flipped: Float32Array | undefined;
  labels: BigInt64Array | undefined;
  /** The part of one of its arrays that holds rows. */
  used(data: Float32Array): Float32Array;
  /** Takes rows from `from` on, as many as fit, and says how many. */
  take(batch: LatentsBatch, from: number, rows: number): number;
}

function shardBuffer(capacity: number, width: number): ShardBuffer {
  return {
    rows: 0,
    latents: new Float32Array(capacity * width),
    flipped: undefined,
    labels: undefined,
    used(data) {
      return data.subarray(0, this.rows * width);
    },
    take({ latents, flipped, labels }, from, rows) {
      const count = Math.min(rows - from, capacity - this.rows);
      const part = [from * width, (from + count) * width] as const;
      this.latents.set(latents.subarray(...part), this.rows * width);
      if (flipped)
        (this.flipped ??= new Float32Array(capacity * width)).set(flipped.subarray(...part), this.rows * width);
      if (labels) {
        this.labels ??= new BigInt64Array(capacity);
        for (let i = 0; i < count; i++) this.labels[this.rows + i] = BigInt(labels[from + i]);
      }
      this.rows += count;
      return count;
    },
  };
}

function checkBatch(layout: LatentsLayout, state: WriterState, before: number, batch: LatentsBatch): number {
  const width = widthOf(layout);
  const { latents, flipped, labels } = batch;
  const rows = latents.length / width;
  if (!Number.isInteger(rows) || (flipped && flipped.length !== latents.length) || (labels && labels.length !== rows))
    throw new RangeError(`a batch of ${latents.length} numbers for rows of ${width}, or of unequal parts`);
  state.flips ??= flipped !== undefined;
  state.labels ??= labels !== undefined;
  if (state.flips !== (flipped !== undefined) || state.labels !== (labels !== undefined))
    throw new RangeError('flipped latents and labels come with every batch or with none');
  for (const part of [latents, flipped]) {
    const bad = part ? nonFiniteRows(part, width) : [];
    if (bad.length > 0)
      throw new UserError(
        `image ${before + bad[0]}: its latents are NaN or infinite; nothing more was written`,
        EXIT.failed,
      );
  }
  return rows;
}

async function writeShard(
  folder: string,
  description: LatentsDescription,
  state: WriterState,
  shard: ShardBuffer,
): Promise<WriterState['shards'][number]> {
  const { rows, latents, flipped, labels } = shard;
  const { tokens, channels, grid = [1, tokens], dtype = 'float32' } = description;
  const file = shardName(state.rank, state.shards.length);
  const moments = channelMoments(shard.used(latents), description);
  const stored = (data: Float32Array): NdArray => {
    const part = shard.used(data);
    toChannelsFirst(part, description);
    return { shape: [rows, channels, ...grid], dtype, data: part };
  };
  await writeSafetensors(
    join(folder, file),
    {
      latents: stored(latents),
      ...(flipped && { latents_flip: stored(flipped) }),
      ...(labels && { labels: { shape: [rows], dtype: 'int64', data: labels.subarray(0, rows) } }),
    },
    { metadata: { total_size: String(rows), dtype: `torch.${dtype}`, device: 'cpu' }, force: true },
  );
  return recordOf(file, rows, moments);
}

/** Once every rank has finished: latents.json over all shards, in the order of ranks. */
async function assemble(folder: string, description: LatentsDescription, ranks: number): Promise<void> {
  const states: WriterState[] = [];
  for (let rank = 0; rank < ranks; rank++) {
    const state = await readState(folder, rank);
    if (!state?.done) return;
    states.push(state);
  }
  const shards = states.flatMap(state => state.shards);
  if (shards.length === 0)
    throw new UserError(`${folder}: there were no images, so no latents were written`, EXIT.failed);
  const { tokens, channels, grid, classes, dtype = 'float32', meta } = description;
  const { mean, std } = statisticsOf(shards.map(momentsOf).reduce(mergeMoments));
  const json: LatentsJson = {
    format: 'maetok latents 1',
    count: shards.reduce((sum, { rows }) => sum + rows, 0),
    tokens,
    channels,
    grid: grid ?? null,
    flips: states.some(state => state.flips === true),
    classes: classes ?? null,
    dtype,
    mean: [...mean],
    std: [...std],
    shards: shards.map(({ file, rows }) => ({ file, rows })),
    meta,
  };
  await writeFileAtomic(join(folder, LATENTS_JSON), `${JSON.stringify(json, null, 2)}\n`, { force: true });
  for (let rank = 0; rank < ranks; rank++) await rm(join(folder, stateFile(rank)), { force: true });
}
