import { mkdirSync } from 'node:fs';
import { copyFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { writeNpy, type NdArray } from '../../src/io/index.js';
import { openLatents } from '../../src/latents/index.js';
import { tempFolder } from '../helpers/temp.js';

const folder = tempFolder();
const KEPT = 'fixtures/golden/latents/kept';

/** The latents of fixtures/golden/latents/kept/record.py: image i, [2, 2, 2] from 4 i on in halves. */
const image = (i: number): number[] => Array.from({ length: 8 }, (_, k) => 4 * i + k / 2);
/** The same as [4 tokens, 2 channels]. */
const tokens = (i: number): number[] => Array.from({ length: 8 }, (_, k) => image(i)[(k % 2) * 4 + (k >> 1)]);

interface Read {
  count: number;
  row: number[];
  /** All rows, from the files anew. */
  streamed: number[];
  labels: string[] | undefined;
}

async function read(path: string, row: number): Promise<Read> {
  const latents = await openLatents(path);
  try {
    const streamed: number[] = [];
    for await (const { data } of latents.rows().chunks({ chunkRows: 2 })) streamed.push(...data);
    const { labels, classes } = latents;
    const named = labels && Array.from(labels, label => classes?.[label] ?? String(label));
    return { count: latents.count, row: [...(await latents.read([row]))], streamed, labels: named };
  } finally {
    await latents.close();
  }
}

const NUMBERS = ['0', '1', '2', '0', '1', '2'];
const NAMES = ['cat', 'dog', 'eel', 'cat', 'dog', 'eel'];

describe('latents as Python’s libraries keep them, recorded', () => {
  test.each<[string, string, (i: number) => number[], string[] | undefined]>([
    ['a tensor', 'tensor.pt', tokens, undefined],
    ['a pair of latents and labels', 'pair.pt', tokens, NUMBERS],
    ['a list in dicts, float16, labels as a list', 'dicts.pt#train', tokens, NUMBERS],
    ['a list of batches of unequal size', 'batches.pt', tokens, undefined],
    ['a list of equal batches, which the labels tell from images', 'equal.pt', tokens, NUMBERS],
    ['a tensor that does not lie in the order of its axes', 'strided.pt', tokens, undefined],
    ['HDF5 in packed chunks', 'latents.h5', tokens, NUMBERS],
    ['HDF5 of float16 in a group, names of fixed length', 'latents.h5#half', tokens, NAMES],
    ['HDF5 of big-endian float64, names of any length', 'latents.h5#big/latents', tokens, NAMES],
    ['Parquet of vectors', 'vectors.parquet', image, NAMES],
    ['Parquet of nested lists', 'tokens.parquet', tokens, NUMBERS],
    ['Arrow of vectors', 'vectors.arrow', image, NAMES],
  ])('%s (%s)', async (_, name, row, labels) => {
    const all = Array.from({ length: 6 }, (_, i) => row(i)).flat();
    expect(await read(join(KEPT, name), 4)).toEqual({ count: 6, row: row(4), streamed: all, labels });
  });

  test('what a file lacks is said with what it has', async () => {
    await expect(openLatents(join(KEPT, 'latents.h5#val'))).rejects.toThrow(
      /no array val; the file has .*half\/latents, latents/,
    );
    await expect(openLatents('fixtures/golden/io/checkpoint.pt')).rejects.toThrow(/say which|latents are/);
  });

  test('a file by HDF5’s name that is none is refused', async () => {
    await writeFile(join(folder, 'not.h5'), 'nothing');
    await expect(openLatents(join(folder, 'not.h5'))).rejects.toThrow(/not\.h5: cannot be read as HDF5/);
  });
});

describe('folders of arrays', () => {
  const put = async (path: string, array: NdArray): Promise<void> => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    await writeNpy(join(folder, path), array);
  };
  const f32 = (shape: number[], data: number[]): NdArray => ({
    shape,
    dtype: 'float32',
    data: Float32Array.from(data),
  });

  test('one .npy an image, labels.npy beside them', async () => {
    for (const i of [0, 1, 2]) await put(`images/${i}.npy`, f32([2, 2, 2], image(i)));
    await put('images/labels.npy', { shape: [3], dtype: 'int64', data: BigInt64Array.of(2n, 0n, 1n) });
    expect(await read(join(folder, 'images'), 2)).toMatchObject({ count: 3, row: tokens(2), labels: ['2', '0', '1'] });
  });

  test('one .npy an image, the class is its folder', async () => {
    await put('classes/dog/0.npy', f32([4, 2], tokens(0)));
    await put('classes/cat/1.npy', f32([4, 2], tokens(1)));
    expect(await read(join(folder, 'classes'), 0)).toMatchObject({ count: 2, row: tokens(1), labels: ['cat', 'dog'] });
  });

  test('batches of four axes, or of unequal length, follow each other', async () => {
    await put('batches/0.npy', f32([2, 2, 2, 2], [...image(0), ...image(1)]));
    await put('batches/1.npy', f32([1, 2, 2, 2], image(2)));
    expect(await read(join(folder, 'batches'), 2)).toMatchObject({ count: 3, row: tokens(2), labels: undefined });
    await put('rows/0.npy', f32([2, 8], [...image(0), ...image(1)]));
    await put('rows/1.npy', f32([1, 8], image(2)));
    expect(await read(join(folder, 'rows'), 2)).toMatchObject({ count: 3, row: image(2) });
  });

  test('shards of Parquet in the order of their names, each with its labels', async () => {
    mkdirSync(join(folder, 'shards'));
    for (const name of ['0.parquet', '1.parquet'])
      await copyFile(`${KEPT}/vectors.parquet`, join(folder, 'shards', name));
    expect(await read(join(folder, 'shards'), 7)).toMatchObject({
      count: 12,
      row: image(1),
      labels: [...NAMES, ...NAMES],
    });
  });

  test('files of different shapes are refused by name', async () => {
    await put('mixed/0.npy', f32([2, 2, 2], image(0)));
    await put('mixed/1.npy', f32([2, 2, 1], [1, 2, 3, 4]));
    await expect(read(join(folder, 'mixed'), 0)).rejects.toThrow(/1\.npy: has shape \[2, 2, 1\], the first image's is/);
  });
});
