import { readFileSync } from 'node:fs';
import { beforeAll, expect, test } from '@jest/globals';
import { eigh, hostMatMul, startEngine } from '../../src/engine/index.js';
import { readSafetensors, type NdArray } from '../../src/io/index.js';
import { frechetDistance, momentsOf, type FeatureMoments } from '../../src/metrics/index.js';
import { addToGaussian, emptyGaussian } from '../../src/metrics/gaussian.js';
import type { FeatureRows } from '../../src/metrics/rows.js';
import { describeWithShared, SHARED } from '../helpers/shared.js';

beforeAll(async () => {
  await startEngine();
});

function momentsOfRows(rows: FeatureRows): FeatureMoments {
  const gaussian = emptyGaussian(rows.width);
  addToGaussian(gaussian, rows);
  return momentsOf(gaussian);
}

const rowsOf = ({ shape: [rows, width], data }: NdArray): FeatureRows => ({ rows, width, data: data as Float32Array });

/** [n, channels, h, w] → each channel's mean over the places. */
function channelMeans({ shape: [rows, width, h, w], data }: NdArray): FeatureRows {
  const means = Float32Array.from({ length: rows * width }, (_, i) => {
    const values = (data as Float32Array).subarray(i * h * w, (i + 1) * h * w);
    return values.reduce((sum, value) => sum + value, 0) / (h * w);
  });
  return { rows, width, data: means };
}

const KEPT = 64;

/** The strongest principal axes as columns. */
function axesOf({ mean: { length: n }, covariance }: FeatureMoments): Float64Array {
  const { vectors } = eigh(covariance, n);
  return Float64Array.from({ length: n * KEPT }, (_, i) => vectors[Math.floor(i / KEPT) * n + n - 1 - (i % KEPT)]);
}

function projected({ mean, covariance }: FeatureMoments, axes: Float64Array): FeatureMoments {
  const n = mean.length;
  const half = hostMatMul(axes, covariance, { m: KEPT, k: n, n, transposeA: true });
  return {
    mean: hostMatMul(axes, mean, { m: KEPT, k: n, n: 1, transposeA: true }),
    covariance: hostMatMul(half, axes, { m: KEPT, k: n, n: KEPT }),
  };
}

describeWithShared('data/features', 'features of 6,000 photographs, distances recorded with SciPy', () => {
  const folder = `${SHARED}/data/features`;
  const recorded = JSON.parse(readFileSync(`${folder}/cifar10-6k-reference.json`, 'utf8')) as Record<
    'efficientnet_lite0' | 'taef2_latents',
    { frechet_distance_train_vs_val: { value: number } }
  >;

  test('a tokenizer’s latents, averaged over their places', async () => {
    const arrays = await readSafetensors(`${folder}/cifar10-6k-taef2-latents.safetensors`);
    const [train, val] = ['train', 'val'].map(part => momentsOfRows(channelMeans(arrays[`${part}.latents`])));
    const { value } = recorded.taef2_latents.frechet_distance_train_vs_val;
    expect(Math.abs(frechetDistance(val, train) / value - 1)).toBeLessThan(1e-5);
  });

  test('EfficientNet’s features on their 64 principal axes', async () => {
    const arrays = await readSafetensors(`${folder}/cifar10-6k-efficientnet-lite0.safetensors`);
    const [train, val] = ['train', 'val'].map(part => momentsOfRows(rowsOf(arrays[`${part}.features`])));
    const axes = axesOf(train);
    const { value } = recorded.efficientnet_lite0.frechet_distance_train_vs_val;
    const distance = frechetDistance(projected(val, axes), projected(train, axes));
    expect(Math.abs(distance / value - 1)).toBeLessThan(1e-5);
  });
});
