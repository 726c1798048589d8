import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { silentLog } from '../../src/base/index.js';
import { openSafetensors, readSafetensors } from '../../src/io/index.js';
import { createLatentsWriter, openLatents } from '../../src/latents/index.js';
import type { LatentsWriterOptions } from '../../src/latents/writer-options.js';
import { asRanks } from '../helpers/ranks.js';
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
  images: Array.from({ length: to - from }, (_, i) => from + i),
  latents: latents.subarray(from * 8, to * 8),
  flipped: flipped.subarray(from * 8, to * 8),
  labels: labels.subarray(from, to),
});

type Options = Omit<LatentsWriterOptions, 'images'>;
const open = (folder: string, options: Options = {}) =>
  createLatentsWriter(folder, description, { images: ROWS, shardRows: 3, ...options });

async function writeAll(folder: string, options: Options = {}, step = 2): Promise<void> {
  const writer = await open(folder, options);
  for (const { start, end } of writer.missing)
    for (let at = start; at < end; at += step) await writer.append(batch(at, Math.min(end, at + step)));
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
    const writer = await createLatentsWriter(folder, { tokens: 3, channels: 2, meta: {} }, { images: 1 });
    await writer.append({ images: [0], latents: Float32Array.of(1, 10, 2, 20, 3, 30) });
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
    const writer = await createLatentsWriter(folder, { ...LAYOUT, dtype: 'float16', meta: {} }, { images: 3 });
    await writer.append({ images: [0], latents: new Float32Array(8).fill(0.1) });
    await writer.append({ images: [1], latents: new Float32Array(8).fill(1e5) });
    await expect(writer.finish()).rejects.toThrow(/tensor latents: 100000 at 8 is too large for float16/);
  });

  test('latents that are NaN or infinite are refused with the image’s number', async () => {
    const writer = await createLatentsWriter(fresh(), { ...LAYOUT, meta: {} }, { images: 4 });
    await writer.append({ images: [0, 1], latents: new Float32Array(16) });
    const broken = new Float32Array(16).fill(0, 0, 8).fill(NaN, 8);
    await expect(writer.append({ images: [2, 3], latents: broken })).rejects.toThrow(/image 3: its latents are NaN/);
  });
});

describe('an interrupted extraction', () => {
  /** What is left when the process dies after `rows` images. */
  async function interrupted(rows: number): Promise<string> {
    const folder = fresh();
    const writer = await open(folder);
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
    const writer = await open(folder, { resume: true });
    expect(writer.rowsDone).toBe(3 * Math.floor(rows / 3));
    await writeAll(folder, { resume: true });
    expect(await contents(folder)).toEqual(await contents(whole));
  });

  test.each([1, 4, 5, 7])('that was saved after %d images loses none of them', async rows => {
    const whole = fresh();
    await writeAll(whole);
    const folder = fresh();
    const begun = await open(folder, { saveSeconds: 0 });
    for (let at = 0; at < rows; at++) await begun.append(batch(at, at + 1));
    await expect(openLatents(folder)).rejects.toThrow(/is unfinished/);
    const writer = await open(folder, { resume: true });
    expect(writer.rowsDone).toBe(rows);
    await writeAll(folder, { resume: true });
    expect(await contents(folder)).toEqual(await contents(whole));
  });

  test.each([
    ['truncated', 0, (path: string) => truncate(path, 100)],
    ['empty', 1, (path: string) => writeFile(path, '')],
    ['gone', 1, (path: string) => rm(path)],
  ] as const)('whose shard is %s encodes its images again', async (_, shard, damage) => {
    const whole = fresh();
    await writeAll(whole);
    const folder = await interrupted(6);
    await damage(join(folder, `latents_rank00_shard00${shard}.safetensors`));
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (message: string) => void warnings.push(message) };
    await writeAll(folder, { resume: true, log });
    expect(warnings).toEqual([
      expect.stringMatching(
        new RegExp(`shard00${shard}.safetensors: .*; images ${3 * shard} to ${3 * shard + 2} are encoded again$`),
      ),
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
    await expect(createLatentsWriter(folder, other, { images: ROWS, shardRows: 3, resume: true })).rejects.toThrow(
      /--resume needs the original options, but meta was .*test.* and is .*other/,
    );
  });

  test('neither it nor a finished one is overwritten without being asked', async () => {
    await expect(open(await interrupted(4))).rejects.toThrow(/unfinished extraction; --resume/);
    const folder = fresh();
    await writeAll(folder);
    await expect(open(folder)).rejects.toThrow(/already holds latents.*--force/);
    await writeAll(folder, { force: true, shardRows: 7 });
    expect((await readdir(folder)).sort()).toEqual(['latents.json', 'latents_rank00_shard000.safetensors']);
  });

  test('resuming what is finished does nothing', async () => {
    const folder = fresh();
    await writeAll(folder);
    const before = await contents(folder);
    const writer = await open(folder, { resume: true });
    expect(writer.rowsDone).toBe(ROWS);
    await writer.finish();
    expect(await contents(folder)).toEqual(before);
  });
});

describe('several ranks', () => {
  /** What a folder says of its rows, whatever the shards are. */
  async function read(folder: string) {
    const opened = await openLatents(folder, { flips: true });
    const rows = await opened.read(Array.from({ length: opened.count }, (_, i) => i));
    const { mean, std } = await opened.statistics();
    await opened.close();
    return { rows, labels: opened.labels, mean, std, meta: opened.meta };
  }

  const writeByRanks = (folder: string, size: number, options: Options = {}) =>
    asRanks(size, communicator => writeAll(folder, { communicator, ...options }));

  /** Each rank dies after so many of its images. */
  const killed = (folder: string, after: number[], options: Options = {}) =>
    asRanks(after.length, async communicator => {
      const writer = await open(folder, { communicator, saveSeconds: 0, ...options });
      let left = after[communicator.rank];
      for (const { start, end } of writer.missing)
        for (let at = start; at < end && left > 0; at++, left--) await writer.append(batch(at, at + 1));
    });

  test.each([2, 3, 9])('%d of them write the rows, statistics and labels of one, bit for bit', async size => {
    const [one, several] = [fresh(), fresh()];
    await writeAll(one);
    await writeByRanks(several, size);
    expect(await read(several)).toEqual(await read(one));
    expect((await readdir(several)).filter(name => !name.endsWith('.safetensors'))).toEqual(['latents.json']);
  });

  test('begin at multiples of the batch size, each with shards of its own name', async () => {
    const folder = fresh();
    const missing = await asRanks(2, async communicator => {
      const writer = await open(folder, { communicator, batchSize: 4 });
      for (const { start, end } of writer.missing) await writer.append(batch(start, end));
      await writer.finish();
      return writer.missing;
    });
    expect(missing).toEqual([[{ start: 0, end: 4 }], [{ start: 4, end: 7 }]]);
    expect((await readdir(folder)).sort()).toEqual([
      'latents.json',
      'latents_rank00_shard000.safetensors',
      'latents_rank00_shard001.safetensors',
      'latents_rank01_shard000.safetensors',
    ]);
  });

  test.each([
    [2, 3],
    [3, 1],
    [1, 2],
    [3, 2],
  ])('%d that were interrupted are gone on with by %d, and nothing is encoded twice', async (before, after) => {
    const [one, folder] = [fresh(), fresh()];
    await writeAll(one);
    await killed(folder, [2, 1, 1].slice(0, before));
    const done = before === 1 ? 2 : before + 1;
    const missing = await asRanks(after, async communicator => {
      const writer = await open(folder, { communicator, resume: true });
      expect(writer.rowsDone).toBe(done);
      return writer.missing;
    });
    const images = missing.flat().reduce((sum, { start, end }) => sum + end - start, 0);
    expect(images).toBe(ROWS - done);
    await killed(folder, new Array<number>(after).fill(1), { resume: true });
    await writeByRanks(folder, after, { resume: true });
    expect(await read(folder)).toEqual(await read(one));
  });

  test('a shard of a rank that no longer exists is encoded again where it was damaged', async () => {
    const [one, folder] = [fresh(), fresh()];
    await writeAll(one);
    await killed(folder, [1, 1, 2]);
    await truncate(join(folder, 'latents_rank02_shard000.safetensors'), 50);
    await writeAll(folder, { resume: true });
    expect(await read(folder)).toEqual(await read(one));
  });

  test('images that cannot be read are no one’s rows, and are named once', async () => {
    const folder = fresh();
    const written = await asRanks(3, async communicator => {
      const writer = await open(folder, { communicator });
      for (const { start, end } of writer.missing)
        for (let at = start; at < end; at++)
          if ([2, 3, 4].includes(at)) writer.skip([at]);
          else await writer.append(batch(at, at + 1));
      return await writer.finish();
    });
    expect(written).toEqual(new Array(3).fill({ rows: 4, skipped: 3 }));
    expect(JSON.parse(await readFile(join(folder, 'skipped.json'), 'utf8'))).toEqual([2, 3, 4]);
  });

  test('are refused alike where latents are there already', async () => {
    const folder = fresh();
    await writeAll(folder);
    let refused = 0;
    await asRanks(2, communicator =>
      open(folder, { communicator }).catch((error: unknown) => {
        refused += Number(/already holds latents/.test(String(error)));
      }),
    );
    expect(refused).toBe(2);
  });
});
