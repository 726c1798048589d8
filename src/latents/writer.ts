import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT, UserError } from '../base/index.js';
import { alone, byFirst, gatherParts, shareOfStretches, type Communicator, type Share } from '../distributed/index.js';
import { asFloat32, readSafetensors, writeFileAtomic, writeSafetensors, type NdArray } from '../io/index.js';
import { nonFiniteRows } from './finite.js';
import { shardName, shardNumber, SKIPPED_JSON, type LatentsJson } from './latents-json.js';
import { LATENTS_JSON } from './names.js';
import { toChannelsFirst, toTokens, widthOf, type LatentsLayout } from './layout.js';
import { shardBuffer, type LatentsBatch, type ShardBuffer } from './shard-buffer.js';
import type { LatentsDescription, LatentsWriterOptions } from './writer-options.js';
import { finishedIn, readyFolder, type Written } from './writer-start.js';
import {
  missingImages,
  newState,
  shardsOf,
  skippedIn,
  stateFile,
  writeState,
  type ShardRecord,
  type WriterState,
} from './writer-state.js';
import { statisticsOfShards } from './writer-statistics.js';

export interface LatentsWriter {
  /** Images whose latents the folder held at the start. */
  readonly rowsDone: number;
  /** Images that are still to be encoded by this rank, in stretches. */
  readonly missing: readonly Share[];
  /** Takes images of one stretch, which follow those before. */
  append(batch: LatentsBatch): Promise<void>;
  /** Notes images that cannot be read. */
  skip(images: readonly number[]): void;
  /** Writes the shard at hand as far as it has come, so that an interruption loses nothing. */
  save(): Promise<void>;
  /** Writes what is left and, once every rank has done so, `latents.json`; until then the folder is unfinished. */
  finish(): Promise<Written>;
}

/**
 * Writes a latents folder: LightningDiT's shards (`latents` and, where given, `latents_flip` as [N, C, H, W] and `labels`
 * int64), which its own loader reads, plus `latents.json` with per-channel mean and std over all images. Latents without
 * a grid are stored as [N, C, 1, tokens], so that the channels are where that loader normalises them. Several ranks call this
 * and `finish` together; rows and statistics are the same whatever their number.
 */
export async function createLatentsWriter(
  folder: string,
  description: LatentsDescription,
  options: LatentsWriterOptions,
): Promise<LatentsWriter> {
  const { communicator = alone, batchSize = 1, images, resume = false } = options;
  const shardRows = options.shardRows ?? defaultShardRows(description);
  const work = { ...description, shardRows, images };
  const { finished, states } = await byFirst(communicator, async () => {
    const finished = resume ? await finishedIn(folder, description) : undefined;
    return { finished, states: finished ? [] : await readyFolder(folder, work, options) };
  });
  if (finished) return finishedWriter(folder, finished);
  const { rank, size } = communicator;
  return shardWriter({
    folder,
    description,
    communicator,
    state: states.find(state => state.rank === rank) ?? newState(rank, work),
    left: states.filter(state => state.rank >= size),
    rowsDone: rowsOf(shardsOf(states)),
    missing: shareOfStretches(communicator, missingImages(states, images), batchSize),
    shardRows,
    capacity: Math.min(shardRows, images),
    saveSeconds: options.saveSeconds ?? 60,
  });
}

const LARGEST_SHARD = 2 ** 28;

const defaultShardRows = (layout: LatentsLayout): number =>
  Math.max(1, Math.min(10_000, Math.floor(LARGEST_SHARD / (4 * widthOf(layout)))));

const rowsOf = (shards: readonly ShardRecord[]): number => shards.reduce((sum, { rows }) => sum + rows, 0);

function finishedWriter(folder: string, written: Written): LatentsWriter {
  return {
    rowsDone: written.rows,
    missing: [],
    append: () =>
      Promise.reject(new UserError(`${folder}: is finished with ${written.rows} images; --force starts again`)),
    skip: () => undefined,
    save: () => Promise.resolve(),
    finish: () => Promise.resolve(written),
  };
}

interface Begun {
  folder: string;
  description: LatentsDescription;
  communicator: Communicator;
  /** Of this rank. */
  state: WriterState;
  /** Of the ranks that an earlier run had besides. */
  left: WriterState[];
  rowsDone: number;
  missing: Share[];
  shardRows: number;
  /** Rows that are ever in memory at once. */
  capacity: number;
  saveSeconds: number;
}

function shardWriter(begun: Begun): LatentsWriter {
  const { folder, description, state, missing, shardRows, communicator } = begun;
  const buffer = shardBuffer(begun.capacity, widthOf(description));
  let open = { file: '', start: 0, end: 0 };
  let saved = { rows: 0, skipped: 0, at: performance.now() };
  const isSaved = (rows: number): void => {
    saved = { rows, skipped: state.skipped.length, at: performance.now() };
  };
  const record = (): ShardRecord => ({ ...open, rows: buffer.rows });
  /** Writes the shard as it is; under its name stands the longer one next. */
  const save = async (): Promise<void> => {
    if (buffer.rows === saved.rows && state.skipped.length === saved.skipped) return;
    if (buffer.rows > saved.rows) {
      await writeShard(join(folder, open.file), description, buffer);
      toTokens(buffer.used(buffer.latents), description);
      if (buffer.flipped) toTokens(buffer.used(buffer.flipped), description);
    }
    await writeState(folder, buffer.rows > 0 ? { ...state, shards: [...state.shards, record()] } : state);
    isSaved(buffer.rows);
  };
  const flush = async (): Promise<void> => {
    if (buffer.rows === 0) return;
    await writeShard(join(folder, open.file), description, buffer);
    state.shards.push(record());
    await writeState(folder, state);
    buffer.rows = 0;
    isSaved(0);
  };
  const begin = async (image: number): Promise<void> => {
    const last = state.shards.find(shard => shard.rows < shardRows && meets(shard, image, state.skipped));
    if (last) await takeUp(folder, description, state, last, buffer);
    const file = last?.file ?? freeName(state);
    open = { file, start: last?.start ?? image, end: last?.end ?? image };
    saved.rows = buffer.rows;
  };
  const stretchOf = (image: number): Share | undefined => missing.find(({ end }) => image < end);
  return {
    rowsDone: begun.rowsDone,
    missing,
    skip: images => void state.skipped.push(...images),
    async append(batch) {
      const rows = checkBatch(description, state, batch);
      const { images } = batch;
      if (buffer.rows > 0 && stretchOf(images[0]) !== stretchOf(open.end - 1)) await flush();
      for (let from = 0; from < rows;) {
        if (buffer.rows === 0) await begin(images[from]);
        from += buffer.take(batch, from, rows);
        open.end = images[from - 1] + 1;
        if (buffer.rows === shardRows) await flush();
      }
      if (performance.now() - saved.at > 1000 * begun.saveSeconds) await save();
    },
    save,
    async finish() {
      await flush();
      const states = [...(await gatherParts(communicator, state)), ...begun.left];
      return await assemble(folder, description, states, communicator);
    },
  };
}

/** Whether a shard ends where an image comes next. */
function meets({ end }: ShardRecord, image: number, skipped: readonly number[]): boolean {
  if (end > image) return false;
  const known = new Set(skipped);
  for (let between = end; between < image; between++) if (!known.has(between)) return false;
  return true;
}

/** The first name that none of a rank's shards has. */
function freeName({ rank, shards }: WriterState): string {
  const taken = new Set(shards.map(({ file }) => shardNumber(file)));
  let number = 0;
  while (taken.has(number)) number++;
  return shardName(rank, number);
}

/** Continues a shard that an interruption left incomplete. */
async function takeUp(
  folder: string,
  description: LatentsDescription,
  state: WriterState,
  shard: ShardRecord,
  buffer: ShardBuffer,
): Promise<void> {
  const arrays = await readSafetensors(join(folder, shard.file));
  // The file may be ahead of the record, where the crash came between the two.
  const tokensOf = (name: string): Float32Array => {
    const rows = Float32Array.from(asFloat32(arrays[name].data).subarray(0, shard.rows * widthOf(description)));
    toTokens(rows, description);
    return rows;
  };
  state.shards.splice(state.shards.indexOf(shard), 1);
  const labels = state.labels === true ? Array.from(arrays.labels.data.slice(0, shard.rows), Number) : undefined;
  const flipped = state.flips === true ? tokensOf('latents_flip') : undefined;
  buffer.take({ latents: tokensOf('latents'), flipped, labels }, 0, shard.rows);
}

function checkBatch(layout: LatentsLayout, state: WriterState, batch: LatentsBatch): number {
  const width = widthOf(layout);
  const { images, latents, flipped, labels } = batch;
  const rows = latents.length / width;
  if (rows !== images.length || (flipped && flipped.length !== latents.length) || (labels && labels.length !== rows))
    throw new RangeError(`a batch of ${latents.length} numbers for rows of ${width}, or of unequal parts`);
  state.flips ??= flipped !== undefined;
  state.labels ??= labels !== undefined;
  if (state.flips !== (flipped !== undefined) || state.labels !== (labels !== undefined))
    throw new RangeError('flipped latents and labels come with every batch or with none');
  for (const part of [latents, flipped]) {
    const bad = part ? nonFiniteRows(part, width) : [];
    if (bad.length > 0)
      throw new UserError(
        `image ${images[bad[0]]}: its latents are NaN or infinite; nothing more was written`,
        EXIT.failed,
      );
  }
  return rows;
}

async function writeShard(path: string, description: LatentsDescription, buffer: ShardBuffer): Promise<void> {
  const { rows, latents, flipped, labels } = buffer;
  const { tokens, channels, grid = [1, tokens], dtype = 'float32' } = description;
  const stored = (data: Float32Array): NdArray => {
    const part = buffer.used(data);
    toChannelsFirst(part, description);
    return { shape: [rows, channels, ...grid], dtype, data: part };
  };
  await writeSafetensors(
    path,
    {
      latents: stored(latents),
      ...(flipped && { latents_flip: stored(flipped) }),
      ...(labels && { labels: { shape: [rows], dtype: 'int64', data: labels.subarray(0, rows) } }),
    },
    { metadata: { total_size: String(rows), dtype: `torch.${dtype}`, device: 'cpu' }, force: true },
  );
}

/** latents.json over the shards of all ranks, in the order of their images. */
async function assemble(
  folder: string,
  description: LatentsDescription,
  states: WriterState[],
  communicator: Communicator,
): Promise<Written> {
  const shards = shardsOf(states);
  const skipped = skippedIn(states);
  if (shards.length === 0)
    throw new UserError(`${folder}: there were no images, so no latents were written`, EXIT.failed);
  const { tokens, channels, grid, classes, dtype = 'float32', meta } = description;
  const { mean, std } = await statisticsOfShards(folder, shards, description, communicator);
  const json: LatentsJson = {
    format: 'maetok latents 1',
    count: rowsOf(shards),
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
  await byFirst(communicator, async () => {
    const write = (name: string, text: string): Promise<void> =>
      writeFileAtomic(join(folder, name), `${text}\n`, { force: true });
    if (skipped.length > 0) await write(SKIPPED_JSON, JSON.stringify(skipped));
    await write(LATENTS_JSON, JSON.stringify(json, null, 2));
    for (const { rank } of states) await rm(join(folder, stateFile(rank)), { force: true });
  });
  return { rows: json.count, skipped: skipped.length };
}
