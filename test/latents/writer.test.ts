import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { silentLog } from '../../src/base/index.js';
import { openSafetensors, readSafetensors } from '../../src/io/index.js';
import { createLatentsWriter, openLatents } from '../../src/latents/index.js';
import type { LatentsWriterOptions } from '../../src/latents/writer-options.js';
import { tempFolder } from '../helpers/temp.js';

const root = tempFolder();
let used = 0;
const fresh = (): string => join(root, `latents-${used++}`);

const ROWS = 7;
const LAYOUT = { tokens: 4, channels: 2, grid: [2, 2] as [number, number] };
const description = { ...LAYOUT, classes: ['cat', 'dog'], meta: { tokenizer: 'test', tokenizerDigest: 'abc' } };
const latents = Float32Array.from({ length: ROWS * 8 }, (_, i) => Math.sin(i));
const flipped = latents.map(value => -value);
const labels = Int32Array.from({ length: ROWS }, (_, i) => i % 2);

const batch = (from: number, to: number) => ({
  latents: latents.subarray(from * 8, to * 8),
  flipped: flipped.subarray(from * 8, to * 8),
  labels: labels.subarray(from, to),
});

async function writeAll(folder: string, options: LatentsWriterOptions = {}, step = 2): Promise<void> {
  const writer = await createLatentsWriter(folder, description, { shardRows: 3, ...options });
  for (let at = writer.rowsDone; at < ROWS; at += step) await writer.append(batch(at, Math.min(ROWS, at + step)));
  await writer.finish();
}

/** Every file's bytes. */
async function contents(folder: string): Promise<Map<string, Buffer>> {
  const names = (await readdir(folder)).sort();
  return new Map(await Promise.all(names.map(async name => [name, await readFile(join(folder, name))] as const)));
}

describe('a latents folder', () => {
  test('gives back what was written, with its origin and per-channel statistics', async () => {
    const folder = fresh();
    await writeAll(folder);
    const read = await openLatents(folder, { flips: true });
    expect(read).toMatchObject({ ...LAYOUT, count: 2 * ROWS, classes: ['cat', 'dog'], meta: description.meta });
    expect(await read.read(Array.from({ length: ROWS }, (_, i) => i))).toEqual(latents);
    expect(await read.read([ROWS + 3])).toEqual(flipped.slice(24, 32));
    expect([...read.labels!.subarray(0, ROWS)]).toEqual([...labels]);
    const { mean, std } = await read.statistics();
    const channel = latents.filter((_, i) => i % 2 === 1);
    const expected = channel.reduce((sum, value) => sum + value, 0) / channel.length;
    const squares = channel.reduce((sum, value) => sum + (value - expected) ** 2, 0);
    expect(mean[1]).toBeCloseTo(expected, 12);
    expect(std[1]).toBeCloseTo(Math.sqrt(squares / (channel.length - 1)), 12);
    await read.close();
  });

  test('is what LightningDiT’s loader reads: its names, shapes, dtypes and metadata', async () => {
    const folder = fresh();
    await writeAll(folder);
    expect((await readdir(folder)).sort()).toEqual([
      'latents.json',
      'latents_rank00_shard000.safetensors',
      'latents_rank00_shard001.safetensors',
      'latents_rank00_shard002.safetensors',
    ]);
    const file = await openSafetensors(join(folder, 'latents_rank00_shard000.safetensors'));
    expect(file.metadata).toEqual({ total_size: '3', dtype: 'torch.float32', device: 'cpu' });
    expect(file.tensors.get('latents')).toMatchObject({ dtype: 'float32', shape: [3, 2, 2, 2] });
    expect(file.tensors.get('latents_flip')).toMatchObject({ dtype: 'float32', shape: [3, 2, 2, 2] });
    expect(file.tensors.get('labels')).toMatchObject({ dtype: 'int64', shape: [3] });
    await file.close();
  });

  test('without a grid keeps its channels where that loader normalises them: [N, C, 1, tokens]', async () => {
    const folder = fresh();
    const writer = await createLatentsWriter(folder, { tokens: 3, channels: 2, meta: {} });
    await writer.append({ latents: Float32Array.of(1, 10, 2, 20, 3, 30) });
    await writer.finish();
    const shard = await readSafetensors(join(folder, 'latents_rank00_shard000.safetensors'));
    expect(shard).toEqual({
      latents: { shape: [1, 2, 1, 3], dtype: 'float32', data: Float32Array.of(1, 2, 3, 10, 20, 30) },
    });
    const read = await openLatents(folder);
    expect([read.tokens, read.channels, read.grid]).toEqual([3, 2, undefined]);
    expect([...(await read.read([0]))]).toEqual([1, 10, 2, 20, 3, 30]);
    await read.close();
  });

  test('is the same whatever the batches were', async () => {
    const [a, b] = [fresh(), fresh()];
    await writeAll(a, {}, 1);
    await writeAll(b, {}, 5);
    expect(await contents(a)).toEqual(await contents(b));
  });

  test('may be stored in half precision, but not beyond its range', async () => {
    const folder = fresh();
    const writer = await createLatentsWriter(folder, { ...LAYOUT, dtype: 'float16', meta: {} });
    await writer.append({ latents: new Float32Array(8).fill(0.1) });
    await writer.append({ latents: new Float32Array(8).fill(1e5) });
    await expect(writer.finish()).rejects.toThrow(/tensor latents: 100000 at 8 is too large for float16/);
  });

  test('latents that are NaN or infinite are refused with the image’s number', async () => {
    const writer = await createLatentsWriter(fresh(), { ...LAYOUT, meta: {} });
    await writer.append({ latents: new Float32Array(16) });
    const broken = new Float32Array(16).fill(0, 0, 8).fill(NaN, 8);
    await expect(writer.append({ latents: broken })).rejects.toThrow(/image 3: its latents are NaN/);
  });
});

describe('an interrupted extraction', () => {
  /** What is left when the process dies after `rows` images. */
  async function interrupted(rows: number): Promise<string> {
    const folder = fresh();
    const writer = await createLatentsWriter(folder, description, { shardRows: 3 });
    await writer.append(batch(0, rows));
    return folder;
  }

  test('is no latents folder yet', async () => {
    await expect(openLatents(await interrupted(4))).rejects.toThrow(/is unfinished .*--resume/);
  });

  test.each([0, 2, 3, 5, 6, 7])('resumed after %d images, is byte for byte the uninterrupted one', async rows => {
    const whole = fresh();
    await writeAll(whole);
    const folder = await interrupted(rows);
    // Shards that had no time to be noted, and half-written ones, are made again.
    await writeFile(join(folder, 'latents_rank00_shard002.safetensors'), 'half');
    await writeFile(join(folder, 'latents_rank00_shard002.safetensors.99.partial'), 'half');
    const writer = await createLatentsWriter(folder, description, { shardRows: 3, resume: true });
    expect(writer.rowsDone).toBe(3 * Math.floor(rows / 3));
    await writeAll(folder, { resume: true });
    expect(await contents(folder)).toEqual(await contents(whole));
  });

  test.each([1, 4, 5, 7])('that was saved after %d images loses none of them', async rows => {
    const whole = fresh();
    await writeAll(whole);
    const folder = fresh();
    const begun = await createLatentsWriter(folder, description, { shardRows: 3, saveSeconds: 0 });
    for (let at = 0; at < rows; at++) await begun.append(batch(at, at + 1));
    await expect(openLatents(folder)).rejects.toThrow(/is unfinished/);
    const writer = await createLatentsWriter(folder, description, { shardRows: 3, resume: true });
    expect(writer.rowsDone).toBe(rows);
    await writeAll(folder, { resume: true });
    expect(await contents(folder)).toEqual(await contents(whole));
  });

  test.each([
    ['truncated', 0, (path: string) => truncate(path, 100)],
    ['empty', 1, (path: string) => writeFile(path, '')],
    ['gone', 1, (path: string) => rm(path)],
  ] as const)('whose shard is %s encodes its images again, and those behind them', async (_, shard, damage) => {
    const whole = fresh();
    await writeAll(whole);
    const folder = await interrupted(6);
    await damage(join(folder, `latents_rank00_shard00${shard}.safetensors`));
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (message: string) => void warnings.push(message) };
    await writeAll(folder, { resume: true, log });
    expect(warnings).toEqual([
      expect.stringMatching(new RegExp(`shard00${shard}.safetensors: .*; going back to image ${3 * shard}$`)),
    ]);
    expect(await contents(folder)).toEqual(await contents(whole));
  });

  test('whose record is damaged is refused in one line', async () => {
    const folder = await interrupted(4);
    await writeFile(join(folder, 'unfinished_rank00.json'), '{"work"');
    await expect(writeAll(folder, { resume: true })).rejects.toThrow(
      /unfinished_rank00.json: cannot be read as JSON: .*; --force starts again$/,
    );
  });

  test('that was finished and has since lost a shard is not taken for complete', async () => {
    const folder = fresh();
    await writeAll(folder);
    await rm(join(folder, 'latents_rank00_shard001.safetensors'));
    await expect(writeAll(folder, { resume: true })).rejects.toThrow(/shard001.safetensors: is missing; .*--force/);
  });

  test('of other work is not gone on with', async () => {
    const folder = await interrupted(4);
    const other = { ...description, meta: { tokenizer: 'other' } };
    await expect(createLatentsWriter(folder, other, { shardRows: 3, resume: true })).rejects.toThrow(
      /--resume needs the original options, but meta was .*test.* and is .*other/,
    );
  });

  test('neither it nor a finished one is overwritten without being asked', async () => {
    await expect(createLatentsWriter(await interrupted(4), description)).rejects.toThrow(
      /unfinished extraction; --resume/,
    );
    const folder = fresh();
    await writeAll(folder);
    await expect(createLatentsWriter(folder, description)).rejects.toThrow(/already holds latents.*--force/);
    await writeAll(folder, { force: true, shardRows: 7 });
    expect((await readdir(folder)).sort()).toEqual(['latents.json', 'latents_rank00_shard000.safetensors']);
  });

  test('resuming what is finished does nothing', async () => {
    const folder = fresh();
    await writeAll(folder);
    const before = await contents(folder);
    const writer = await createLatentsWriter(folder, description, { resume: true });
    expect(writer.rowsDone).toBe(ROWS);
    await writer.finish();
    expect(await contents(folder)).toEqual(before);
  });
});

test('several processes write one folder; it is finished when all of them are', async () => {
  const folder = fresh();
  const parts = [batch(0, 4), batch(4, 7)];
  const writers = [];
  for (const rank of [0, 1])
    writers.push(await createLatentsWriter(folder, description, { communicator: { rank, size: 2 }, shardRows: 3 }));
  for (const [rank, writer] of writers.entries()) {
    await writer.append(parts[rank]);
    await writer.finish();
    if (rank === 0) await expect(openLatents(folder)).rejects.toThrow(/is unfinished/);
  }
  const read = await openLatents(folder);
  expect(read.count).toBe(ROWS);
  expect(await read.read([0, 1, 2, 3, 4, 5, 6])).toEqual(latents);
  await read.close();
});
