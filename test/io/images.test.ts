import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { decodeImage, imageSize, isImageName, openNpz, PILLOW, type Decoding } from '../../src/io/index.js';
import { tempFolder } from '../helpers/temp.js';

const RECORDED = 'fixtures/golden/io/pillow-modes';
const root = tempFolder();
const expected = new Map<string, { shape: readonly number[]; data: Uint8Array }>();

beforeAll(async () => {
  const npz = await openNpz(join(RECORDED, 'expected.npz'));
  for (const name of npz.names) {
    const { shape, data } = await npz.read(name);
    expected.set(name, { shape, data: data as Uint8Array });
  }
  await npz.close();
});

const kinds = ['jpg', 'png', 'webp', 'tif', 'bmp', 'ppm', 'pgm', 'pbm', 'gif', 'avif'];

describe("Pillow 13's convert('RGB'), bit for bit (fixtures/golden/io/pillow-modes)", () => {
  test.each(kinds)('every recorded .%s', async kind => {
    const names = [...expected.keys()].filter(name => name.endsWith(`.${kind}`));
    expect(names.length).toBeGreaterThan(0);
    const differing: string[] = [];
    for (const name of names) {
      const { shape, data } = expected.get(name)!;
      const path = join(RECORDED, name);
      const image = await decodeImage(path);
      const size = await imageSize(path);
      const isSame =
        image.height === shape[0] && image.width === shape[1] && Buffer.compare(image.data, Buffer.from(data)) === 0;
      if (!isSame || size.width !== image.width || size.height !== image.height) differing.push(name);
    }
    expect(differing).toEqual([]);
  });

  test('every recorded name is taken for an image, in any case', () => {
    for (const name of expected.keys())
      expect([isImageName(name), isImageName(name.toUpperCase())]).toEqual([true, true]);
  });
});

describe('what one may want instead', () => {
  const pixel = async (path: string, options: Partial<Decoding>): Promise<number[]> => [
    ...(await decodeImage(path, { ...PILLOW, ...options })).data.subarray(0, 3),
  ];

  test('exif turn applies the orientation, of AVIF too', async () => {
    for (const name of ['exif-6.jpg', 'exif-6.png', 'exif-6.webp', 'exif-6.avif']) {
      const path = join(RECORDED, name);
      const { width, height } = await decodeImage(path, { ...PILLOW, exif: 'turn' });
      expect([width, height]).toEqual([7, 9]);
      expect(await imageSize(path, { ...PILLOW, exif: 'turn' })).toMatchObject({ width: 7, height: 9 });
    }
  });

  test('alpha white lays transparency over white', async () => {
    const clear = join(root, 'clear.png');
    await sharp({ create: { width: 2, height: 2, channels: 4, background: { r: 10, g: 20, b: 30, alpha: 0 } } }).toFile(
      clear,
    );
    expect(await pixel(clear, {})).toEqual([10, 20, 30]);
    expect(await pixel(clear, { alpha: 'white' })).toEqual([255, 255, 255]);
    const half = join(root, 'half.bmp');
    const bmp = readFileSync(join(RECORDED, 'bmp32-rgba.bmp'));
    for (let at = bmp.length - 9 * 7 * 4; at < bmp.length; at += 4) bmp.set([100, 0, 255, 51], at);
    writeFileSync(half, bmp);
    expect(await pixel(half, { alpha: 'white' })).toEqual([224, 204, 255]);
  });

  test('grey16 scale keeps the upper eight bits where Pillow clips', async () => {
    const { data } = await sharp(join(RECORDED, 'I16.png'))
      .toColourspace('grey16')
      .raw({ depth: 'ushort' })
      .toBuffer({ resolveWithObject: true });
    const first = data.readUInt16LE(0);
    expect(await pixel(join(RECORDED, 'I16.png'), {})).toEqual(new Array(3).fill(Math.min(255, first)));
    for (const name of ['I16.png', 'I16.tif', 'I16.pgm'])
      expect(await pixel(join(RECORDED, name), { grey16: 'scale' })).toEqual(new Array(3).fill(first >> 8));
  });
});

describe('an incomplete image is refused in one line that names it', () => {
  const cut = (name: string, share: number): Buffer => {
    const whole = readFileSync(join(RECORDED, name));
    return whole.subarray(0, Math.floor(whole.length * share));
  };
  test.each([
    ['an empty file', 'empty.png', () => Buffer.alloc(0), /empty\.png: .*the file is empty/],
    ['text', 'text.jpg', () => Buffer.from('<html>404</html>'), /text\.jpg: .*in no supported format/],
    ['a drawing', 'svg.png', () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), /in no supported format/],
    ['half a JPEG', 'half.jpg', () => cut('RGB.jpg', 0.5), /half\.jpg: /],
    ['half a bitmap', 'half-bmp.bmp', () => cut('RGB.bmp', 0.6), /is truncated/],
    ['a bitmap’s first bytes', 'start.bmp', () => cut('RGB.bmp', 0.1), /is truncated/],
    ['half a pixmap', 'half.ppm', () => cut('RGB.ppm', 0.6), /is truncated/],
    ['half a pixmap in text', 'text.ppm', () => cut('p3-100.ppm', 0.6), /is truncated/],
    ['a sample too large', 'large.pgm', () => Buffer.from('P2 1 1 15 16'), /sample of 16, above its maximum 15/],
  ])('%s', async (_, name, content, message) => {
    const path = join(root, name);
    writeFileSync(path, content());
    await expect(decodeImage(path)).rejects.toThrow(message);
    await expect(decodeImage(path)).rejects.toMatchObject({ name: 'UserError' });
    await expect(decodeImage(path)).rejects.not.toThrow(/\n/);
  });
});
