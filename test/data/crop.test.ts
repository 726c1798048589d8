import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { centreCrop } from '../../src/data/index.js';
import { randomCrop } from '../../src/data/crop.js';
import { readNpz, type NdArray, type RawImage } from '../../src/io/index.js';

const recorded = await readNpz('fixtures/golden/adm-crop/crops.npz');
const image = ({ shape, data }: NdArray): RawImage => ({
  width: shape[1],
  height: shape[0],
  data: data as Uint8Array,
});
const cases = Object.keys(recorded)
  .filter(name => !name.startsWith('image'))
  .map(name => name.split('_') as ['centre' | 'random', string, string]);

describe('crops equal those of Pillow to the last bit (recorded with Pillow 13, see record.py)', () => {
  test.each(cases)('%s crop of image %s to %s', (kind, name, side) => {
    const source = image(recorded[`image_${name}`]);
    const size = Number(side);
    const crop =
      kind === 'centre' ? centreCrop(source, size) : randomCrop(source, size, Float32Array.of(0.75, 0.25, 0.5));
    expect(Buffer.from(crop.data).equals(recorded[`${kind}_${name}_${side}`].data as Uint8Array)).toBe(true);
  });
});

describe('any image becomes a square', () => {
  const side = fc.integer({ min: 1, max: 70 });
  const draw = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

  test('of the size asked for, and an image of one colour keeps it', () => {
    fc.assert(
      fc.property(side, side, side, fc.tuple(draw, draw, draw), (width, height, size, draws) => {
        const plain = { width, height, data: new Uint8Array(width * height * 3).fill(200) };
        // The largest float32 below 1 stands for what the generator can give.
        const uniforms = Float32Array.from(draws, u => Math.min(u, 1 - 2 ** -24));
        for (const crop of [centreCrop(plain, size), randomCrop(plain, size, uniforms)]) {
          expect([crop.width, crop.height, crop.data.length]).toEqual([size, size, size * size * 3]);
          expect(crop.data.every(value => value === 200)).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('an image of the right size is left as it is', () => {
    const data = Uint8Array.from({ length: 48 }, (_, i) => i);
    expect(centreCrop({ width: 4, height: 4, data }, 4).data).toEqual(data);
  });
});
