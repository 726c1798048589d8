import { describe, expect, test } from '@jest/globals';
import { RandomNumbers } from '../../src/base/index.js';
import { loadBatch, openImages, trainingBatches } from '../../src/data/index.js';

const scenes = await openImages('synthetic:scenes?count=23&classes=5&size=20');

describe('loading a batch', () => {
  test('pixels become x / 127.5 − 1, labels go with them', async () => {
    const { images, labels, indices } = await loadBatch(scenes, [4, 2], { size: 20, crop: 'center', flip: false });
    const raw = (await scenes.read(2)).data;
    expect(images.subarray(1200)).toBeAllClose(
      Float32Array.from(raw, x => x / 127.5 - 1),
      { atol: 1e-6 },
    );
    expect([...labels!]).toEqual([4, 2]);
    expect([...indices]).toEqual([4, 2]);
  });

  test('mirroring and random crops depend on the stream and the image, not on the batch', async () => {
    const options = { size: 16, crop: 'random', flip: true, random: new RandomNumbers(1) } as const;
    const together = await loadBatch(scenes, [3, 8, 9], options);
    const alone = await loadBatch(scenes, [8], options);
    expect(together.images.subarray(768, 1536)).toEqual(alone.images);
    const other = await loadBatch(scenes, [8], { ...options, random: new RandomNumbers(2) });
    expect(other.images).not.toEqual(alone.images);
  });
});

describe('training batches', () => {
  const options = { batchSize: 6, size: 16, augmentation: 'random-crop', seed: 5 } as const;

  test('an epoch shows every image once, in another order each time', async () => {
    const batches = trainingBatches(scenes, { ...options, batchSize: 23 });
    const [first, second] = [await batches.batch(0), await batches.batch(1)];
    const ascending = Array.from({ length: 23 }, (_, i) => i);
    expect([...first.indices].sort((a, b) => a - b)).toEqual(ascending);
    expect([...second.indices].sort((a, b) => a - b)).toEqual(ascending);
    expect(first.indices).not.toEqual(second.indices);
    await batches.close();
  });

  test.each(['none', 'flip', 'random-crop'] as const)(
    'a batch is a pure function of its index (%s), cached or not, whatever came before',
    async augmentation => {
      const cached = trainingBatches(scenes, { ...options, augmentation });
      const streamed = trainingBatches(scenes, { ...options, augmentation, cacheBytes: 0 });
      const walked = [];
      for (let i = 0; i < 9; i++) walked.push(await cached.batch(i));
      for (const i of [8, 3]) {
        const batch = await streamed.batch(i);
        expect(batch.indices).toEqual(walked[i].indices);
        expect(batch.images).toEqual(walked[i].images);
      }
      await Promise.all([cached.close(), streamed.close()]);
    },
  );

  test('a batch larger than the data set goes through it several times', async () => {
    const batches = trainingBatches(scenes, { ...options, batchSize: 50 });
    const { indices } = await batches.batch(0);
    expect(indices).toHaveLength(50);
    expect(new Set(indices).size).toBe(23);
    await batches.close();
  });
});

describe('splits', () => {
  test('the held-out part depends on the split seed only, and the two parts make the whole', async () => {
    const spec = 'synthetic:scenes?count=40&size=8';
    const [train, val] = [await openImages(spec, { split: 'train' }), await openImages(spec, { split: 'val' })];
    const names = (dataset: typeof train) => Array.from({ length: dataset.count }, (_, i) => dataset.imageName(i));
    expect(val.count).toBe(4);
    expect(new Set([...names(train), ...names(val)]).size).toBe(40);
    expect(train.digest).not.toBe(val.digest);
    const other = await openImages(spec, { split: 'val', splitSeed: 1 });
    expect(names(other)).not.toEqual(names(val));
  });

  test('limit takes the first images and shows in the digest', async () => {
    const [all, few] = [await openImages('synthetic:scenes'), await openImages('synthetic:scenes', { limit: 7 })];
    expect(few.count).toBe(7);
    expect(few.labels).toHaveLength(7);
    expect(few.digest).not.toBe(all.digest);
  });
});
