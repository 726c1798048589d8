import { describe, expect, test } from '@jest/globals';
import { openImages } from '../../src/data/index.js';

describe('synthetic:scenes', () => {
  test('a scene is a pure function of seed and index', async () => {
    const [a, b] = await Promise.all([
      openImages('synthetic:scenes?count=50&size=16&seed=3'),
      openImages('synthetic:scenes?count=900&size=16&seed=3'),
    ]);
    expect((await a.read(41)).data).toEqual((await b.read(41)).data);
    const other = await openImages('synthetic:scenes?count=50&size=16&seed=4');
    expect((await other.read(41)).data).not.toEqual((await a.read(41)).data);
    expect(other.digest).not.toBe(a.digest);
  });

  const allClasses = () => openImages('synthetic:scenes?count=80&classes=40');

  test('all 40 classes differ', async () => {
    expect(new Set((await allClasses()).classes).size).toBe(40);
  });

  test('a class is a shape and a texture', async () => {
    const dataset = await allClasses();
    const { shape, texture } = dataset.factors!(53);
    expect(dataset.classes[dataset.labels![53]]).toBe(`${shape}-${texture}`);
  });

  test('classes take turns', async () => {
    const dataset = await allClasses();
    expect(dataset.labels!.filter(label => label === 7)).toHaveLength(2);
  });

  test('with fewer textures there are fewer classes, which all differ still', async () => {
    const plain = await openImages('synthetic:scenes?textures=1');
    expect(new Set(plain.classes).size).toBe(8);
    expect(plain.classes[5]).toBe('cross-plain');
    expect(new Set((await openImages('synthetic:scenes?textures=3&classes=24')).classes).size).toBe(24);
  });

  const calm = async () => {
    const { factors } = await openImages('synthetic:scenes?spread=20&backgrounds=1');
    return Array.from({ length: 50 }, (_, index) => factors!(index));
  };

  test('a small spread keeps objects near the middle, nearly alike and upright', async () => {
    for (const { x, y, radius, rotation } of await calm()) {
      expect(Math.abs(Number(x) - 0.5)).toBeLessThan(0.1);
      expect(Math.abs(Number(y) - 0.5)).toBeLessThan(0.1);
      expect(Math.abs(Number(radius) - 0.3)).toBeLessThanOrEqual(0.02);
      expect(rotation).toBeLessThan(0.4 * Math.PI);
    }
  });

  test('fewer backgrounds are the first ones', async () => {
    expect(new Set((await calm()).map(({ background }) => background))).toEqual(new Set(['gradient']));
  });

  test('drawn at the side asked for, and at its own where the spec says one', async () => {
    expect((await (await openImages('synthetic:scenes')).read(0, 24)).width).toBe(24);
    expect((await (await openImages('synthetic:scenes?size=40')).read(0, 24)).width).toBe(40);
  });

  test('the same scene at two sizes shows the same: a small one is the mean of a large one', async () => {
    const dataset = await openImages('synthetic:scenes?count=40&classes=40');
    for (const index of [0, 11, 22, 33]) {
      const [small, large] = [await dataset.read(index, 16), await dataset.read(index, 128)];
      let difference = 0;
      for (let y = 0; y < 16; y++)
        for (let x = 0; x < 16; x++) {
          let sum = 0;
          for (let j = 0; j < 64; j++) sum += large.data[((8 * y + (j >> 3)) * 128 + 8 * x + (j & 7)) * 3];
          difference += Math.abs(sum / 64 - small.data[(y * 16 + x) * 3]) / 256;
        }
      expect(difference).toBeLessThan(3);
    }
  });

  test.each([
    ['synthetic:scenes?cuont=3', /unknown setting 'cuont'/],
    ['synthetic:scenes?classes=41', /classes must be a whole number from 1 to 40/],
    ['synthetic:scenes?textures=3&classes=25', /with textures=3, classes must be at most 24/],
    ['synthetic:faces', /synthetic:scenes is the procedural data set/],
  ])('%s is refused', async (spec, message) => {
    await expect(openImages(spec)).rejects.toThrow(message);
  });
});
