import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { silentLog } from '../../src/base/index.js';
import { contactSheet, openImages, surveyImages, type Survey } from '../../src/data/index.js';
import { exportFolder } from '../../src/data/index.js';
import { encodePng, makeFolder, type RawImage } from '../../src/io/index.js';
import { tempFolder } from '../helpers/temp.js';

const root = tempFolder();
const quiet = { update: () => undefined, stop: () => undefined };

async function survey(spec: string, options: { near?: number; size?: number } = {}): Promise<Survey> {
  const dataset = await openImages(spec);
  const signal = new AbortController().signal;
  return await surveyImages(dataset, { near: 8, ...options, progress: quiet, signal }).finally(() => dataset.close());
}

/** Drawn scenes of 64 pixels in class folders, all different. */
async function scenes(name: string): Promise<string> {
  const dataset = await openImages('synthetic:scenes?count=60&classes=3&size=64');
  const signal = new AbortController().signal;
  await exportFolder(dataset, join(root, name), { force: true, signal, progress: quiet });
  return join(root, name);
}

const sharpOf = ({ data, width, height }: RawImage) => sharp(data, { raw: { width, height, channels: 3 } });

describe('surveyImages', () => {
  test('finds planted duplicates, exact and near, what is unreadable and what is too small; nothing else', async () => {
    const folder = await scenes('planted');
    const dataset = await openImages(folder);
    const [first, second, third] = [await dataset.read(0), await dataset.read(25), await dataset.read(50)];
    const [own, other] = [dataset.classes[0], dataset.classes[2]];
    // The same pixels in another file and another class; one compressed, one halved.
    writeFileSync(join(folder, other, 'zz-same.png'), await sharpOf(first).png({ compressionLevel: 0 }).toBuffer());
    writeFileSync(join(folder, own, 'zz-packed.jpg'), await sharpOf(second).jpeg({ quality: 80 }).toBuffer());
    writeFileSync(join(folder, own, 'zz-half.png'), await sharpOf(third).resize(32).png().toBuffer());
    writeFileSync(join(folder, own, 'zz-broken.png'), (await encodePng(first)).subarray(0, 200));
    const found = await survey(folder, { size: 64 });
    const told = found.findings.map(({ image, kind, like }) => [image.split('/').at(-1), kind, like]);
    expect(told).toHaveLength(5);
    expect(told[0]).toEqual(['zz-broken.png', 'unreadable', undefined]);
    expect(told).toContainEqual(['zz-half.png', 'small', undefined]);
    expect(told).toContainEqual(['zz-same.png', 'duplicate', dataset.imageName(0)]);
    const near = found.findings
      .filter(({ kind }) => kind === 'near duplicate')
      .map(({ image, like }) => [image, like].sort());
    expect(near).toEqual(
      expect.arrayContaining([
        [dataset.imageName(25), join(folder, own, 'zz-packed.jpg')].sort(),
        [dataset.imageName(50), join(folder, own, 'zz-half.png')].sort(),
      ]),
    );
    expect(found.contradictions).toBeGreaterThanOrEqual(1);
    expect(found.sizes.slice(0, 2)).toEqual([
      ['64×64', 62],
      ['32×32', 1],
    ]);
    await dataset.close();
  });

  test('--near 0 compares pixels only, and images without contrast are never near', async () => {
    const flat = join(root, 'flat');
    await makeFolder(flat);
    for (const [i, value] of [100, 101, 101].entries())
      writeFileSync(
        join(flat, `${i}.png`),
        await encodePng({ width: 16, height: 16, data: new Uint8Array(768).fill(value) }),
      );
    for (const near of [0, 8])
      expect((await survey(flat, { near })).findings.map(({ index, kind }) => [index, kind])).toEqual([
        [2, 'duplicate'],
      ]);
  });

  test('says what images are before they become RGB', async () => {
    const { modes } = await survey('fixtures/golden/io/pillow-modes');
    const counts = Object.fromEntries(modes);
    expect(Object.keys(counts)).toEqual(
      expect.arrayContaining(['RGB', 'grey', 'CMYK', 'RGB with alpha', '16-bit grey']),
    );
  });
});

test('a contact sheet has a row for each class, with its name and number of images', async () => {
  const dataset = await openImages('synthetic:scenes?count=40&classes=4&size=16', { log: silentLog });
  const svg = await contactSheet(dataset, 20);
  expect(svg.match(/<image /g)).toHaveLength(20);
  for (const name of dataset.classes) expect(svg).toContain(`>${name.slice(0, 23)}`);
  expect(svg.match(/>10<\/text>/g)).toHaveLength(4);
});
