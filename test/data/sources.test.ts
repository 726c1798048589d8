import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { pack } from 'tar-stream';
import { silentLog, type Log } from '../../src/base/index.js';
import { loadBatch, openImages } from '../../src/data/index.js';
import { encodePng, writeNpy, writeNpz, type RawImage } from '../../src/io/index.js';
import { tempFolder } from '../helpers/temp.js';

const root = tempFolder();

/** An image of one grey value, which says later which image it was. */
const plain = (value: number, width = 8, height = 8): RawImage => ({
  width,
  height,
  data: new Uint8Array(width * height * 3).fill(value),
});

async function put(path: string, image: RawImage): Promise<void> {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), await encodePng(image));
}

async function values(spec: string, options = {}): Promise<number[]> {
  const dataset = await openImages(spec, options);
  const read = await Promise.all(Array.from({ length: dataset.count }, (_, i) => dataset.read(i)));
  await dataset.close();
  return read.map(image => image.data[0]);
}

describe('folders', () => {
  test('class = folder, classes and files in the order of their names, files below counted in', async () => {
    await put('classes/cat/b.png', plain(2));
    await put('classes/cat/a.png', plain(1));
    await put('classes/Bird/sub/z.png', plain(3));
    await put('classes/.hidden/x.png', plain(9));
    writeFileSync(join(root, 'classes/cat/notes.txt'), 'no image');
    const dataset = await openImages(join(root, 'classes'));
    expect(dataset.classes).toEqual(['Bird', 'cat']);
    expect([...dataset.labels!]).toEqual([0, 1, 1]);
    expect(await values(join(root, 'classes'))).toEqual([3, 1, 2]);
  });

  test('without class folders images have no labels', async () => {
    await put('flat/1.png', plain(1));
    const dataset = await openImages(join(root, 'flat'));
    expect(dataset.labels).toBeUndefined();
    expect(dataset.classes).toEqual([]);
  });

  const splits = async (): Promise<string> => {
    await put('splits/train/a/1.png', plain(1));
    await put('splits/train/b/2.png', plain(2));
    await put('splits/val/b/3.png', plain(3));
    return join(root, 'splits');
  };

  test('train and val folders are splits', async () => {
    expect(await values(await splits(), { split: 'train' })).toEqual([1, 2]);
    expect(await values(await splits())).toEqual([1, 2, 3]);
  });

  test('a label means the same class in every split', async () => {
    const val = await openImages(await splits(), { split: 'val' });
    expect(val.classes[val.labels![0]]).toBe('b');
  });

  test('a folder whose only folder holds the classes is read as that folder', async () => {
    await put('outer/images/n1/1.png', plain(1));
    await put('outer/images/n2/2.png', plain(2));
    expect((await openImages(join(root, 'outer'))).classes).toEqual(['n1', 'n2']);
  });

  test('the digest changes with a name or a size and with nothing else', async () => {
    const before = (await openImages(join(root, 'flat'))).digest;
    expect((await openImages(join(root, 'flat'))).digest).toBe(before);
    await put('flat/2.png', plain(7));
    expect((await openImages(join(root, 'flat'))).digest).not.toBe(before);
  });
});

describe('decoding', () => {
  test('is chosen when a data set is opened, and recorded in its card', async () => {
    mkdirSync(join(root, 'rotated'));
    await sharp({ create: { width: 6, height: 4, channels: 4, background: { r: 9, g: 9, b: 9, alpha: 0 } } })
      .withMetadata({ orientation: 6 })
      .png()
      .toFile(join(root, 'rotated/1.png'));
    const asPillow = await openImages(join(root, 'rotated'));
    expect(await asPillow.read(0)).toMatchObject({ width: 6, height: 4, data: new Uint8Array(72).fill(9) });
    const otherwise = await openImages(join(root, 'rotated'), { exif: 'turn', alpha: 'white' });
    expect(await otherwise.read(0)).toMatchObject({ width: 4, height: 6, data: new Uint8Array(72).fill(255) });
    expect(otherwise.decoding).toEqual({ exif: 'turn', alpha: 'white', grey16: 'clip' });
    const { images } = await loadBatch(otherwise, [0], { size: 4, crop: 'center', flip: false });
    expect(images[0]).toBe(1);
  });
});

describe('what cannot be read', () => {
  const kept = (): { log: Log; said: string[] } => {
    const said: string[] = [];
    return { log: { ...silentLog, warn: text => said.push(text) }, said };
  };

  test('links to nothing, folders and pipes by an image’s name are skipped and named, or stop the work', async () => {
    await put('odd/a.png', plain(1));
    symlinkSync('/nowhere', join(root, 'odd/b.png'));
    symlinkSync('c.png', join(root, 'odd/c.png'));
    execFileSync('mkfifo', [join(root, 'odd/d.png')]);
    const { log, said } = kept();
    const dataset = await openImages(join(root, 'odd'), { log });
    const batch = await loadBatch(dataset, [0, 1, 2, 3], { size: 8, crop: 'center', flip: false });
    expect([...batch.indices]).toEqual([0]);
    expect(said).toHaveLength(3);
    expect(said[0]).toMatch(/b\.png.*broken link; skipped/);
    const strict = await openImages(join(root, 'odd'), { strict: true });
    await expect(loadBatch(strict, [1], { size: 8, crop: 'center', flip: false })).rejects.toThrow(/b\.png/);
  });

  test('a class folder without images keeps its label and is named', async () => {
    await put('gap/a/1.png', plain(1));
    mkdirSync(join(root, 'gap/b'));
    await put('gap/c/1.png', plain(3));
    const { log, said } = kept();
    const dataset = await openImages(join(root, 'gap'), { log });
    expect(dataset.classes).toEqual(['a', 'b', 'c']);
    expect([...dataset.labels!]).toEqual([0, 2]);
    expect(said).toEqual([expect.stringMatching(/1 of 3 class folders hold no images \(b\)/)]);
  });

  test('a class of which no image can be read is named in the end', async () => {
    await put('lost/a/1.png', plain(1));
    mkdirSync(join(root, 'lost/b'));
    writeFileSync(join(root, 'lost/b/1.png'), 'nothing');
    const { log, said } = kept();
    const dataset = await openImages(join(root, 'lost'), { log });
    await loadBatch(dataset, [0, 1], { size: 8, crop: 'center', flip: false });
    await dataset.close();
    expect(said.at(-1)).toMatch(/no image of these classes could be read: b/);
  });

  test('a link back to a folder around it is not followed', async () => {
    await put('loop/a/1.png', plain(1));
    symlinkSync('..', join(root, 'loop/a/up'));
    expect((await openImages(join(root, 'loop'))).count).toBe(1);
  });
});

describe('arrays', () => {
  const data = Uint8Array.from({ length: 3 * 4 * 4 * 3 }, (_, i) => Math.floor(i / 48) + 1);
  const images = { shape: [3, 4, 4, 3], dtype: 'uint8' as const, data };

  test('an .npy file holds images', async () => {
    await writeNpy(join(root, 'a.npy'), images);
    expect(await values(join(root, 'a.npy'))).toEqual([1, 2, 3]);
  });

  test('an .npz archive holds images with their labels', async () => {
    const labels = { shape: [3], dtype: 'int64' as const, data: BigInt64Array.of(2n, 0n, 2n) };
    await writeNpz(join(root, 'a.npz'), { arr_0: images, arr_1: labels });
    const dataset = await openImages(join(root, 'a.npz'));
    expect([...dataset.labels!]).toEqual([2, 0, 2]);
    expect(dataset.classes).toEqual(['0', '1', '2']);
    await dataset.close();
  });

  test('grey arrays are widened', async () => {
    await writeNpy(join(root, 'grey.npy'), { shape: [2, 2, 2], dtype: 'uint8', data: new Uint8Array(8).fill(5) });
    const grey = await openImages(join(root, 'grey.npy'));
    expect((await grey.read(1)).data).toEqual(new Uint8Array(12).fill(5));
    await grey.close();
  });

  test.each([
    [{ shape: [3, 3, 4, 4], dtype: 'uint8' as const, data: new Uint8Array(144) }, /uint8 \[3, 3, 4, 4\].*transpose/],
    [{ shape: [2, 2, 2, 3], dtype: 'float32' as const, data: new Float32Array(24) }, /float32.*expected as uint8/],
  ])('another layout is refused with what was found', async (array, message) => {
    await writeNpy(join(root, 'wrong.npy'), array, { force: true });
    await expect(openImages(join(root, 'wrong.npy'))).rejects.toThrow(message);
  });

  test('labels must be one per image', async () => {
    const labels = { shape: [2], dtype: 'uint8' as const, data: new Uint8Array(2) };
    await writeNpz(join(root, 'short.npz'), { images, labels });
    await expect(openImages(join(root, 'short.npz'))).rejects.toThrow(/2 labels for 3 rows/);
  });

  test('labels may be text; what else is in the archive is never opened', async () => {
    const dataset = await openImages('fixtures/golden/io/numpy/pictures.npz');
    expect((await dataset.read(2)).data[0]).toBe(3);
    expect([dataset.classes, [...dataset.labels!]]).toEqual([
      ['ape', 'bee'],
      [1, 0, 1],
    ]);
    await dataset.close();
  });
});

describe("MNIST's idx files", () => {
  const idx = (shape: number[], data: Uint8Array): Buffer => {
    const header = Buffer.alloc(4 + 4 * shape.length);
    header.set([0, 0, 8, shape.length]);
    shape.forEach((side, axis) => header.writeUInt32BE(side, 4 + 4 * axis));
    return Buffer.concat([header, data]);
  };

  test('gzipped or not, with the labels next to them; t10k is val', async () => {
    mkdirSync(join(root, 'mnist'));
    const [train, val] = [Uint8Array.of(1, 1, 1, 1, 2, 2, 2, 2), Uint8Array.of(3, 3, 3, 3)];
    writeFileSync(join(root, 'mnist/train-images-idx3-ubyte.gz'), gzipSync(idx([2, 2, 2], train)));
    writeFileSync(join(root, 'mnist/train-labels-idx1-ubyte.gz'), gzipSync(idx([2], Uint8Array.of(1, 0))));
    writeFileSync(join(root, 'mnist/t10k-images-idx3-ubyte'), idx([1, 2, 2], val));
    writeFileSync(join(root, 'mnist/t10k-labels-idx1-ubyte'), idx([1], Uint8Array.of(1)));
    const dataset = await openImages(join(root, 'mnist'), { split: 'train' });
    expect([...dataset.labels!]).toEqual([1, 0]);
    expect(await values(join(root, 'mnist'), { split: 'train' })).toEqual([1, 2]);
    expect(await values(join(root, 'mnist'), { split: 'val' })).toEqual([3]);
  });

  test('are recognised by their content, not by the extension .gz', async () => {
    mkdirSync(join(root, 'misnamed'));
    const one = idx([1, 2, 2], new Uint8Array(4).fill(7));
    writeFileSync(join(root, 'misnamed/a-images-idx3-ubyte.gz'), one);
    writeFileSync(join(root, 'misnamed/b-images-idx3-ubyte'), gzipSync(one));
    expect(await values(join(root, 'misnamed/a-images-idx3-ubyte.gz'))).toEqual([7]);
    expect(await values(join(root, 'misnamed/b-images-idx3-ubyte'))).toEqual([7]);
  });

  test('a truncated file is refused', async () => {
    const path = join(root, 'train-images-idx3-ubyte');
    writeFileSync(path, idx([9, 28, 28], new Uint8Array(100)));
    await expect(openImages(path)).rejects.toThrow(/truncated: \[9, 28, 28\] needs 7056 bytes, 100 follow/);
  });
});

describe('tar shards', () => {
  async function tar(path: string, members: [name: string, content: Uint8Array | string][]): Promise<string> {
    const archive = pack();
    for (const [name, content] of members) archive.entry({ name }, Buffer.from(content));
    archive.finalize();
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), await buffer(archive));
    return join(root, path);
  }

  test('images of one name with .cls labels, over several shards, in any order', async () => {
    await tar('shards/000.tar', [
      ['a.png', await encodePng(plain(1))],
      ['a.cls', '7'],
    ]);
    const long = 'x'.repeat(150);
    await tar('shards/001.tar', [
      [`${long}/b.cls`, '2\n'],
      [`${long}/b.png`, await encodePng(plain(2))],
    ]);
    const dataset = await openImages(join(root, 'shards'));
    expect([...dataset.labels!]).toEqual([7, 2]);
    expect((await dataset.read(1)).data[0]).toBe(2);
    expect((await dataset.read(0)).data[0]).toBe(1);
    await dataset.close();
  });

  test('folders inside are classes where there is no .cls', async () => {
    const path = await tar('folders.tar', [
      ['dog/1.png', await encodePng(plain(1))],
      ['cat/1.png', await encodePng(plain(2))],
    ]);
    const dataset = await openImages(path);
    expect(dataset.classes).toEqual(['cat', 'dog']);
    expect([...dataset.labels!]).toEqual([1, 0]);
    await dataset.close();
  });

  const [one, two] = [plain(1), plain(2)];
  const sample = async (key: string, ...fields: string[]): Promise<[string, Uint8Array | string][]> =>
    await Promise.all(
      fields.map(async (field): Promise<[string, Uint8Array | string]> => [
        `${key}.${field}`,
        /cls$/i.test(field) ? key.slice(-1) : await encodePng(field.includes('.') ? two : one),
      ]),
    );

  test.each([
    ['another field that is an image', ['png', 'seg.png', 'cls']],
    ['extensions in capitals', ['PNG', 'CLS']],
    ['folders with dots', ['png', 'cls']],
  ])('as webdataset 1.0.2 reads them: %s', async (name, fields) => {
    const keys = ['set.v1/0', 'set.v1/1'];
    const path = await tar(`${name}.tar`, (await Promise.all(keys.map(key => sample(key, ...fields)))).flat());
    const dataset = await openImages(path);
    expect([...dataset.labels!]).toEqual([0, 1]);
    expect((await dataset.read(1)).data[0]).toBe(1);
    await dataset.close();
  });

  test('members that webdataset passes over are no images: hidden ones and its own records', async () => {
    const png = await encodePng(two);
    const path = await tar('passed-over.tar', [
      ['__meta__/a.png', png],
      ['._0.png', 'resource fork'],
      ...(await sample('0', 'png', 'cls')),
      ['LICENSE', 'text'],
      ['notes.txt', 'text'],
    ]);
    const dataset = await openImages(path);
    expect(dataset.count).toBe(1);
    await dataset.close();
  });

  test.each([
    ['keys with dots', ['v1.0', 'v1.1'], ['png', 'cls'], /sample 'v1' holds 0\.png, 0\.cls, 1\.png.*first dot/],
    ['one field twice', ['0'], ['png', 'PNG'], /sample '0' has two members for png: 0\.png and 0\.PNG/],
    ['several images', ['0'], ['png', 'jpg', 'cls'], /several images; say which.*\?picture=png/],
    ['none by a plain extension', ['0'], ['input.png', 'cls'], /\?picture=input\.png/],
    ['a key that comes back', ['0', '1', '0'], ['png'], /members of sample '0' are not contiguous/],
  ])('never a wrong label or image silently: %s', async (name, keys, fields, message) => {
    const path = await tar(`${name}.tar`, (await Promise.all(keys.map(key => sample(key, ...fields)))).flat());
    await expect(openImages(path)).rejects.toThrow(message);
  });

  test('?picture= names the field that is the image', async () => {
    const path = await tar('chosen.tar', await sample('0', 'png', 'seg.png', 'cls'));
    expect(await values(`${path}?picture=seg.png`)).toEqual([2]);
  });

  test.each(['', 'x', '-1'])("a label '%s' among numbers is refused", async label => {
    const path = await tar('label.tar', [
      ...(await sample('0', 'png', 'cls')),
      ...(await sample('1', 'png')),
      ['1.cls', label],
    ]);
    await expect(openImages(path)).rejects.toThrow(/1\.cls: contains/);
  });

  test('a compressed and a damaged archive are refused', async () => {
    writeFileSync(join(root, 'packed.tar'), gzipSync(Buffer.alloc(2048, 1)));
    await expect(openImages(join(root, 'packed.tar'))).rejects.toThrow(/compressed tar/);
    writeFileSync(join(root, 'broken.tar'), Buffer.alloc(2048, 1));
    await expect(openImages(join(root, 'broken.tar'))).rejects.toThrow(/not a tar or is damaged/);
  });
});

describe('bad input is one clear line', () => {
  test.each([
    ['missing', /missing: no such file or folder/],
    ['empty', /holds no images/],
    ['mixed', /holds images .* and folders of images/],
  ])('%s', async (name, message) => {
    mkdirSync(join(root, 'empty'), { recursive: true });
    await put('mixed/1.png', plain(1));
    await put('mixed/a/1.png', plain(1));
    await expect(openImages(join(root, name))).rejects.toThrow(message);
  });

  test('a broken image is skipped with a warning, counted, and stops the work under strict', async () => {
    await put('half/1.png', plain(1));
    await put('half/3.png', plain(3));
    const whole = await encodePng({ ...plain(2, 64, 64), data: Uint8Array.from({ length: 12288 }, (_, i) => i * i) });
    writeFileSync(join(root, 'half/2.png'), whole.subarray(0, whole.length / 2));
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (line: string) => void warnings.push(line) };
    const dataset = await openImages(join(root, 'half'), { log });
    const options = { size: 8, crop: 'center', flip: false } as const;
    const batch = await loadBatch(dataset, [0, 1, 2], options);
    await loadBatch(dataset, [1], options);
    expect([...batch.indices]).toEqual([0, 2]);
    expect([...dataset.broken.keys()]).toEqual([1]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/2\.png: cannot be read as an image.*skipped/);
    const strict = await openImages(join(root, 'half'), { strict: true });
    await expect(loadBatch(strict, [0, 1, 2], options)).rejects.toThrow(/2\.png: cannot be read/);
  });
});
