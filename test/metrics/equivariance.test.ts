import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { startEngine, tf, type Tensor4D } from '../../src/engine/index.js';
import { departureSums, equivarianceError, ROTATIONS, SCALINGS, type Transformation } from '../../src/metrics/index.js';

const { images, weights, expected } = JSON.parse(
  readFileSync('fixtures/golden/equivariance/equivariance.json', 'utf8'),
) as { images: number[][][][]; weights: number[][]; expected: Record<string, number> };

beforeAll(async () => {
  await startEngine();
});

/** A function of patches of 4 × 4 pixels. */
const patches = (x: Tensor4D): Tensor4D => {
  const [n, h, w] = x.shape;
  return x
    .reshape([n, h / 4, 4, w / 4, 4, 3])
    .transpose([0, 1, 3, 2, 4, 5])
    .reshape([n, h / 4, w / 4, 48]);
};
const encode = (x: Tensor4D): Tensor4D =>
  tf.tidy(() => {
    const rows = patches(x);
    const [n, h, w] = rows.shape;
    const z = tf
      .matMul(rows.reshape([-1, 48]), tf.tensor2d(weights))
      .tanh()
      .add(2);
    return z.reshape([n, h, w, 5]);
  });

async function errorOf({ ofImages, ofLatents }: Transformation, encoder: (x: Tensor4D) => Tensor4D): Promise<number> {
  const error = equivarianceError();
  // One image at a time: sums over batches.
  for (const image of images) {
    const x = tf.tensor4d([image]);
    const moved = ofImages(x);
    const z = encoder(x);
    const [a, b] = [encoder(moved), ofLatents(z)];
    error.add(await departureSums(a, b));
    tf.dispose([x, moved, z, a, b]);
  }
  return error.value();
}

// Recorded with PyTorch in float64 by fixtures/golden/equivariance/record.py.
describe('equivariance', () => {
  test.each([...ROTATIONS, ...SCALINGS])('under $name is as recorded', async transformation => {
    const before = tf.memory().numTensors;
    expect(await errorOf(transformation, encode)).toBeCloseTo(expected[transformation.name], 5);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('an encoder that averages patches commutes with turns; one that puts out noise has nothing in common', async () => {
    const average = (x: Tensor4D): Tensor4D => tf.tidy(() => patches(x).mean<Tensor4D>(3, true));
    const noise = (x: Tensor4D): Tensor4D => tf.randomNormal([1, x.shape[1], x.shape[2], 40]);
    for (const turn of ROTATIONS) {
      expect(await errorOf(turn, average)).toBeLessThan(1e-9);
      expect(await errorOf(turn, noise)).toBeCloseTo(1, 1);
    }
  });
});
