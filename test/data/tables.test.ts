import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { silentLog, UserError } from '../../src/base/index.js';
import { loadBatch, openImages as openOnly } from '../../src/data/index.js';
import { encodePng, writeNpz } from '../../src/io/index.js';
import { tempFolder } from '../helpers/temp.js';

const root = tempFolder();
const RECORDED = 'fixtures/golden/data-sets';
const HUB = `${RECORDED}/hub`;
const NAMES = ['crane', 'tench', 'great white shark'];

const opened: Awaited<ReturnType<typeof openOnly>>[] = [];
afterAll(() => Promise.all(opened.map(dataset => dataset.close())));

async function openImages(...args: Parameters<typeof openOnly>): ReturnType<typeof openOnly> {
  const dataset = await openOnly(...args);
  opened.push(dataset);
  return dataset;
}

const grey = (value: number): Promise<Uint8Array> =>
  encodePng({ width: 4, height: 4, data: new Uint8Array(48).fill(value) });

/** First number of each image in the order asked for, -1 for one that cannot be read. */
async function values(spec: string, options = {}, order?: number[]): Promise<number[]> {
  const dataset = await openImages(spec, options);
  const found: number[] = [];
  for (const index of order ?? Array.from({ length: dataset.count }, (_, i) => i))
    found.push(
      await dataset.read(index).then(
        image => image.data[0],
        () => -1,
      ),
    );
  return found;
}

function parquet(name: string, columns: Parameters<typeof parquetWriteBuffer>[0]['columnData']): string {
  const path = join(root, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, new Uint8Array(parquetWriteBuffer({ columnData: columns })));
  return path;
}

describe('Parquet as the hub has it, recorded from pyarrow', () => {
  test('shards are read in the order of their names, whatever packs them; splits are what their names say', async () => {
    expect(await values(HUB, { split: 'train' })).toEqual([0, 10, 20, 30, 40, 50, 60, 70, 80, 90]);
    expect(await values(HUB, { split: 'val' })).toEqual([100, -1, 120]);
    expect(await values(`${HUB}/data/train-*.parquet`, {}, [7, 2, 9, 0])).toEqual([70, 20, 90, 0]);
  });

  test('classes have the names of the metadata', async () => {
    const dataset = await openImages(HUB);
    expect(dataset).toMatchObject({ name: 'hub', count: 13, classes: NAMES });
    expect([...dataset.labels!]).toEqual([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 0, 0]);
  });

  test('an empty cell is a broken image, named by its row and skipped', async () => {
    const said: string[] = [];
    const dataset = await openImages(HUB, { split: 'val', log: { ...silentLog, warn: text => said.push(text) } });
    const { indices } = await loadBatch(dataset, [0, 1, 2], { size: 4, crop: 'center', flip: false });
    expect([...indices]).toEqual([0, 2]);
    expect(said).toEqual([
      expect.stringMatching(/validation-00000-of-00001\.parquet: row 1: .*the cell is empty; skipped/),
    ]);
  });

  test('many requests at once, out of order, give the images that were asked for', async () => {
    const dataset = await openImages(HUB, { split: 'train' });
    const order = Array.from({ length: 60 }, (_, i) => (i * 7) % 10);
    const read = await Promise.all(order.map(index => dataset.read(index)));
    expect(read.map(image => image.data[0] / 10)).toEqual(order);
  });
});

describe('Parquet of other makers', () => {
  test('plain bytes under a usual name, class names as text', async () => {
    const path = parquet('plain.parquet', [
      { name: 'thumbnail', data: [await grey(9), await grey(9)], type: 'BYTE_ARRAY' },
      { name: 'img', data: [await grey(1), await grey(2)], type: 'BYTE_ARRAY' },
      { name: 'label', data: ['dog', 'cat'], type: 'STRING' },
    ]);
    const dataset = await openImages(path);
    expect(dataset.classes).toEqual(['cat', 'dog']);
    expect([...dataset.labels!]).toEqual([1, 0]);
    expect(await values(path)).toEqual([1, 2]);
  });

  test('--images-key and --labels-key choose the columns and are part of the digest', async () => {
    const path = parquet('keys.parquet', [
      { name: 'img', data: [await grey(1)], type: 'BYTE_ARRAY' },
      { name: 'mask', data: [await grey(2)], type: 'BYTE_ARRAY' },
      { name: 'breed', data: [3], type: 'INT32' },
    ]);
    const [plain, chosen] = [await openImages(path), await openImages(path, { imagesKey: 'mask', labelsKey: 'breed' })];
    expect((await chosen.read(0)).data[0]).toBe(2);
    expect([...chosen.labels!]).toEqual([3]);
    expect(plain.labels).toBeUndefined();
    expect(chosen.digest).not.toBe(plain.digest);
    expect((await openImages(`${path}?images=mask&labels=breed`)).digest).toBe(chosen.digest);
  });

  test('labels that are all -1, as in the hub’s test sets, are none', async () => {
    const path = parquet('unlabelled.parquet', [
      { name: 'image', data: [await grey(1), await grey(2)], type: 'BYTE_ARRAY' },
      { name: 'label', data: [-1n, -1n], type: 'INT64' },
    ]);
    expect((await openImages(path)).labels).toBeUndefined();
  });

  test.each<[string, (folder: string) => Promise<string>, object, RegExp]>([
    [
      'no images',
      () => Promise.resolve(parquet('numbers.parquet', [{ name: 'x', data: [1], type: 'INT32' }])),
      {},
      /numbers\.parquet: holds no encoded images .*columns are x \(integer\)/,
    ],
    [
      'several columns that could be meant',
      async () =>
        parquet('two.parquet', [
          { name: 'a', data: [await grey(1)], type: 'BYTE_ARRAY' },
          { name: 'b', data: [await grey(1)], type: 'BYTE_ARRAY' },
        ]),
      {},
      /two\.parquet: which column holds the images\? Say it by --images-key, e\.g\. a/,
    ],
    [
      'a key that is no column',
      () => Promise.resolve(HUB),
      { imagesKey: 'photo' },
      /no column photo of encoded images/,
    ],
    [
      'a file cut short',
      folder => {
        const path = join(folder, 'cut.parquet');
        writeFileSync(path, readFileSync(`${HUB}/data/train-00000-of-00002.parquet`).subarray(0, 500));
        return Promise.resolve(path);
      },
      {},
      /cut\.parquet: is not a whole Parquet file.*download it again/,
    ],
    ['a pattern that nothing fits', folder => Promise.resolve(join(folder, 'none-*.parquet')), {}, /no file matches/],
  ])('%s: one line that names the file and what to do', async (_, make, options, message) => {
    await expect(openImages(await make(root), options)).rejects.toThrow(message);
  });
});

describe('Arrow files of the datasets cache, recorded from pyarrow', () => {
  test('streams and files, row by row in any order; what datasets keeps of its steps is left alone', async () => {
    const folder = join(root, 'cache');
    mkdirSync(folder);
    for (const shard of ['data-00000-of-00002.arrow', 'data-00001-of-00002.arrow'])
      copyFileSync(`${RECORDED}/cache/${shard}`, join(folder, shard));
    writeFileSync(join(folder, 'cache-1b2.arrow'), 'intermediate');
    expect(await values(folder)).toEqual([0, 10, 20, 30, 40, 50, -1]);
    expect(await values(folder, {}, [5, 0, 3])).toEqual([50, 0, 30]);
    const dataset = await openImages(folder);
    expect(dataset.classes).toEqual(NAMES);
    expect([...dataset.labels!]).toEqual([0, 1, 2, 0, 1, 2, 0]);
  });

  test('packed batches and damage are refused with a remedy', async () => {
    await expect(openImages(`${RECORDED}/compressed.arrow`)).rejects.toThrow(/batches are compressed.*to_parquet/);
    const whole = readFileSync(`${RECORDED}/cache/data-00000-of-00002.arrow`);
    writeFileSync(join(root, 'cut.arrow'), whole.subarray(0, whole.length - 200));
    await expect(openImages(join(root, 'cut.arrow'))).rejects.toThrow(/cut\.arrow: is truncated/);
    writeFileSync(join(root, 'text.arrow'), 'nothing of the kind');
    await expect(openImages(join(root, 'text.arrow'))).rejects.toThrow(/text\.arrow: is not an Arrow file/);
  });
});

test.each(['hub/data/train-00001-of-00002.parquet', 'cache/data-00000-of-00002.arrow'])(
  'damage anywhere in %s is an error that names the file, or goes unnoticed in a pixel; nothing hangs',
  async recorded => {
    const whole = readFileSync(`${RECORDED}/${recorded}`);
    const path = join(root, `damaged${recorded.slice(recorded.lastIndexOf('.'))}`);
    for (let at = 0; at < whole.length; at += 211) {
      const damaged = Buffer.from(whole);
      damaged[at] ^= 0xff;
      writeFileSync(path, damaged);
      const failure: unknown = await values(path, {}, [4]).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (failure !== undefined) expect(failure).toBeInstanceOf(UserError);
    }
  },
);

describe('CIFAR as distributed', () => {
  test('the batches for Python, of Python 2 and of Python 3, with the names of batches.meta', async () => {
    const dataset = await openImages(`${RECORDED}/cifar-10-batches-py`);
    expect(dataset).toMatchObject({ count: 3, classes: NAMES });
    expect([...dataset.labels!]).toEqual([2, 0, 1]);
    const image = await dataset.read(1);
    expect(image).toMatchObject({ width: 32, height: 32 });
    expect([...image.data.subarray(0, 4)]).toEqual([10, 11, 12, 10]);
    expect(await values(`${RECORDED}/cifar-10-batches-py`, { split: 'val' })).toEqual([20]);
  });

  test('of CIFAR-100 the fine labels, by key the coarse ones', async () => {
    const fine = await openImages(`${RECORDED}/cifar-100-python`);
    expect(fine.classes[fine.labels![0]]).toBe('tench');
    const coarse = await openImages(`${RECORDED}/cifar-100-python`, { labelsKey: 'coarse' });
    expect(coarse.classes).toEqual(['animal']);
    expect(coarse.digest).not.toBe(fine.digest);
  });

  test('the binary batches, in the order of their names', async () => {
    const folder = join(root, 'bin');
    mkdirSync(folder);
    const record = (label: number, value: number): Uint8Array =>
      new Uint8Array([label, ...new Array<number>(3072).fill(value)]);
    writeFileSync(join(folder, 'data_batch_2.bin'), record(2, 3));
    writeFileSync(join(folder, 'data_batch_1.bin'), Buffer.concat([record(1, 1), record(0, 2)]));
    writeFileSync(join(folder, 'batches.meta.txt'), `${NAMES.join('\n')}\n\n`);
    expect(await values(folder)).toEqual([1, 2, 3]);
    const dataset = await openImages(folder);
    expect(dataset.classes).toEqual(NAMES);
    expect([...dataset.labels!]).toEqual([1, 0, 2]);
  });

  test('a damaged file and a pickle that would run something are refused', async () => {
    writeFileSync(join(root, 'data_batch_1.bin'), 'short');
    await expect(openImages(join(root, 'data_batch_1.bin'))).rejects.toThrow(/5 bytes, which are no whole records/);
    writeFileSync(join(root, 'data_batch_1'), Buffer.from('\x80\x02cposix\nsystem\n(U\x02lstR.', 'latin1'));
    await expect(openImages(join(root, 'data_batch_1'))).rejects.toThrow(
      /refers to posix\.system.*nothing was executed/,
    );
  });
});

describe('archives of several arrays', () => {
  const medmnist = async (): Promise<string> => {
    const path = join(root, 'pathmnist.npz');
    const images = (...greys: number[]) => ({
      shape: [greys.length, 2, 2],
      dtype: 'uint8' as const,
      data: Uint8Array.from(greys.flatMap(value => [value, value, value, value])),
    });
    const labels = (...all: number[]) => ({
      shape: [all.length, 1],
      dtype: 'uint8' as const,
      data: Uint8Array.from(all),
    });
    const arrays = {
      ...{ train_images: images(1, 2), val_images: images(3), test_images: images(4) },
      ...{ train_labels: labels(1, 0), val_labels: labels(1), test_labels: labels(2) },
    };
    await writeNpz(path, arrays, { force: true });
    return path;
  };

  test('train_images and val_images are splits, each with its labels', async () => {
    expect(await values(await medmnist(), { split: 'train' })).toEqual([1, 2]);
    const val = await openImages(await medmnist(), { split: 'val' });
    expect(val.classes[val.labels![0]]).toBe('1');
  });

  test('a key names one array, whose labels are called likewise', async () => {
    const part = await openImages(await medmnist(), { imagesKey: 'test_images' });
    expect((await part.read(0)).data[0]).toBe(4);
    expect([...part.labels!]).toEqual([2]);
    await expect(openImages(await medmnist(), { imagesKey: 'images' })).rejects.toThrow(
      /has no array images; it holds train_images/,
    );
  });
});
