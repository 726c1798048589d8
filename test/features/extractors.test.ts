import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { openImages } from '../../src/data/index.js';
import { startEngine, tf, type Tensor4D } from '../../src/engine/index.js';
import { openExtractor } from '../../src/features/index.js';
import { readSafetensors } from '../../src/io/index.js';
import { describeWithShared, SHARED } from '../helpers/shared.js';
import { tempFolder } from '../helpers/temp.js';

const root = tempFolder();

beforeAll(async () => {
  await startEngine();
});

/** 8-bit pixels of an image drawn by a formula. */
const image = (side: number, value: (x: number, y: number) => number): Tensor4D =>
  tf.tensor4d(
    Float32Array.from({ length: side * side * 3 }, (_, i) => {
      const pixel = Math.floor(i / 3);
      return Math.round(value((pixel % side) / side, Math.floor(pixel / side) / side));
    }),
    [1, side, side, 3],
  );
const pooled = async (spec: string, pixels: Tensor4D): Promise<Float32Array> => {
  const extractor = await openExtractor(spec);
  return (await (await extractor.features(pixels)).pooled.data()) as Float32Array;
};

describe('extractors without weights', () => {
  test('pixels: the mean colour of each cell, at any size', async () => {
    const left = (x: number): number => (x < 0.5 ? 255 : 51);
    for (const side of [16, 20, 33]) {
      const means = await pooled('pixels', image(side, left));
      expect(means).toHaveLength(192);
      expect([means[0], means[191]]).toBeAllClose([1, 0.2], { atol: 1e-5 });
    }
  });

  test('hog: the bin of an edge is that of its direction, whichever side is light', async () => {
    const strongest = async (value: (x: number, y: number) => number): Promise<number> => {
      const features = await pooled('hog', image(32, value));
      const perBin = Array.from({ length: 9 }, (_, bin) =>
        features.reduce((s, f, i) => s + (i % 9 === bin ? f : 0), 0),
      );
      return perBin.indexOf(Math.max(...perBin));
    };
    const ramp = (x: number): number => 40 + 160 * x;
    const across = await strongest(x => ramp(x));
    expect(await strongest(x => 250 - ramp(x))).toBe(across);
    expect(await strongest((_, y) => ramp(y))).not.toBe(across);
  });

  test('neither may be called FID', async () => {
    for (const spec of ['hog', 'pixels']) expect((await openExtractor(spec)).isInception).toBe(false);
  });
});

describe('ONNX encoders', () => {
  const ENCODER = 'fixtures/golden/onnx/encoder.onnx';

  test('an encoder made for four images at a time gives any number what one for any number gives', async () => {
    copyFileSync('fixtures/golden/onnx/encoder.onnx', join(root, 'any.onnx'));
    copyFileSync('fixtures/golden/onnx/encoder-of-4.onnx', join(root, 'four.onnx'));
    for (const name of ['any', 'four']) writeFileSync(join(root, `${name}.yaml`), 'size: 16\n');
    const pixels = tf.concat([0.2, 0.5, 0.9, 0.1, 0.7].map(grey => image(16, x => 255 * x * grey)));
    const [any, four] = await Promise.all(['any', 'four'].map(name => pooled(`onnx:${join(root, name)}.onnx`, pixels)));
    expect(four).toHaveLength(20);
    expect(four).toBeAllClose(any, { rtol: 1e-5 });
  });

  test('the YAML next to it describes its input; a map is averaged over its positions', async () => {
    copyFileSync(ENCODER, join(root, 'small.onnx'));
    writeFileSync(join(root, 'small.yaml'), 'size: 16\nrange: [-1, 1]\nmean: [0, 0, 0]\nstd: [1, 1, 1]\n');
    const extractor = await openExtractor(`onnx:${join(root, 'small.onnx')}`);
    expect(extractor.name).toBe('onnx:small');
    const before = tf.memory().numTensors;
    const input = image(32, x => 255 * x);
    const features = await extractor.features(input);
    expect(features.pooled.shape).toEqual([1, extractor.widths.pooled]);
    tf.dispose([input, features.pooled]);
    expect(tf.memory().numTensors).toBe(before);
    extractor.dispose();
  });

  test('ADM’s graph is recognised by the names of its outputs', async () => {
    await expect(openExtractor(`inception:${ENCODER}`)).rejects.toThrow(/no output for the pooled features; it has/);
  });
});

describeWithShared('data/features/cifar10-6k-efficientnet-lite0.safetensors', 'EfficientNet-Lite0', () => {
  test('gives the features that PyTorch recorded of real images', async () => {
    const dataset = await openImages(`${SHARED}/data/cifar10-6k`, { split: 'val' });
    const recorded = (await readSafetensors(`${SHARED}/data/features/cifar10-6k-efficientnet-lite0.safetensors`))[
      'val.features'
    ];
    const spec = `effnet-lite0:${SHARED}/weights/efficientnet-lite0/efficientnet_lite0.safetensors?size=128`;
    for (const index of [0, 777]) {
      const { data } = await dataset.read(index);
      const features = await pooled(spec, tf.tensor4d(Float32Array.from(data), [1, 32, 32, 3]));
      const expected = (recorded.data as Float32Array).subarray(index * 1280, (index + 1) * 1280);
      // They were stored in half precision.
      expect(features).toBeAllClose(expected, { rtol: 1e-3 });
    }
  });
});

describe('what --features names', () => {
  test.each([
    ['inception', /--features inception: is unknown; known are inception:WEIGHTS/],
    ['inception:absent.pth', /absent\.pth: no such file/],
    ['effnet-lite0:package.json?side=3', /size is a whole number from 32 to 1024/],
  ])('%s is refused', async (spec, message) => {
    await expect(openExtractor(spec)).rejects.toThrow(message);
  });

  test('a wrong setting in the YAML of an ONNX file is named', async () => {
    const path = join(root, 'net.onnx');
    writeFileSync(path, 'no network');
    await expect(openExtractor(`onnx:${path}`)).rejects.toThrow(/cannot be loaded as an ONNX network/);
    writeFileSync(join(root, 'net.yaml'), 'size: large');
    await expect(openExtractor(`onnx:${path}`)).rejects.toThrow(/net\.yaml: size: /);
  });
});
