import { beforeAll, describe, expect, test } from '@jest/globals';
import { RandomNumbers } from '../../src/base/index.js';
import { startEngine, tf } from '../../src/engine/index.js';
import { openMetrics, PAIR_METRICS, type MetricContext } from '../../src/metrics/index.js';
import type { FeatureRows } from '../../src/metrics/rows.js';
import type { MetricScore } from '../../src/metrics/metric.js';

beforeAll(async () => {
  await startEngine();
});

const CONTEXT = { width: 6, seed: 0, bootstrap: 0, directions: 500 };
const normals = (seed: string, rows: number, shift = 0, scale = 1): FeatureRows => ({
  rows,
  width: 6,
  data: new RandomNumbers(1, seed).normals(rows * 6).map(value => scale * value + shift),
});

async function score(name: string, sample: FeatureRows, reference: FeatureRows, more: Partial<MetricContext> = {}) {
  const metric = (await openMetrics()).find(found => found.name === name)!;
  const side = (rows: FeatureRows): unknown => {
    const state = metric.init({ ...CONTEXT, count: rows.rows, ...more });
    // In two pieces, as batches come.
    const half = Math.floor(rows.rows / 2);
    metric.add(state, { ...rows, rows: half, data: rows.data.subarray(0, half * 6) });
    metric.add(state, { ...rows, rows: rows.rows - half, data: rows.data.subarray(half * 6) });
    return state;
  };
  return await metric.value(side(sample), side(reference), { ...CONTEXT, count: sample.rows, ...more });
}
const named = (scores: MetricScore[], metric: string): number => scores.find(found => found.metric === metric)!.value;

/** Bińkowski et al. (2018), eq. 4, term by term, of sets of equal size. */
function kernelDistance(a: FeatureRows, b: FeatureRows): number {
  const { rows, width } = a;
  const kernel = (x: FeatureRows, i: number, y: FeatureRows, j: number): number => {
    let inner = 0;
    for (let f = 0; f < width; f++) inner += x.data[i * width + f] * y.data[j * width + f];
    return (inner / width + 1) ** 3;
  };
  let sum = 0;
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < rows; j++) {
      if (i !== j) sum += (kernel(a, i, a, j) + kernel(b, i, b, j)) / (rows * (rows - 1));
      sum -= (2 * kernel(a, i, b, j)) / rows ** 2;
    }
  return sum;
}

describe('distances between sets of features', () => {
  test('grow with the shift, and are near nothing for two draws of the same', async () => {
    const [a, b, far] = [normals('a', 400), normals('b', 400), normals('c', 400, 1)];
    for (const name of ['fid', 'sfid', 'kid', 'mind', 'cmmd']) {
      const [near] = await score(name, a, b);
      const [away] = await score(name, a, far);
      expect(away.value).toBeGreaterThan(20 * Math.abs(near.value));
    }
  });

  test('subsets that equal the full sets have no deviation: only the kernel distance of the sets is reported', async () => {
    const [a, b] = [normals('a', 60), normals('b', 60, 0.5)];
    const [whole] = await score('kid', a, b);
    expect(whole.value).toBeCloseTo(kernelDistance(a, b), 5);
    expect(whole.std).toBeUndefined();
    const [drawn] = await score('kid', a, normals('c', 90, 0.5));
    expect(drawn.std!).toBeGreaterThan(0);
  });

  test('MIND of a shift is 3 times its square, and draws as many of the larger set as the smaller has', async () => {
    const a = normals('a', 300);
    const shifted = { ...a, data: a.data.map(value => value + 1) };
    const [{ value }] = await score('mind', a, shifted, { directions: 4000 });
    // Over directions u the squared shift is (u · 1)², whose mean is 1: 3 · width · 1.
    expect(Math.abs(value / 18 - 1)).toBeLessThan(0.05);
    const [unequal] = await score('mind', a, normals('b', 500));
    expect(unequal.variant).toBe('500 directions, 300 images a side');
  });

  test('CMMD is the biased discrepancy of unit features under its wide kernel, a thousandfold', async () => {
    const [a, b] = [normals('a', 30), normals('b', 20, 0.5)];
    const unit = ({ rows, data }: FeatureRows) =>
      Array.from({ length: rows }, (_, i) => {
        const row = Array.from(data.subarray(6 * i, 6 * i + 6));
        return row.map(value => value / Math.hypot(...row));
      });
    const mean = (x: number[][], y: number[][]): number =>
      x.reduce(
        (sum, p) => sum + y.reduce((s, q) => s + Math.exp(-(Math.hypot(...p.map((v, f) => v - q[f])) ** 2) / 200), 0),
        0,
      ) /
      (x.length * y.length);
    const [{ value }] = await score('cmmd', a, b);
    const expected = mean(unit(a), unit(a)) + mean(unit(b), unit(b)) - 2 * mean(unit(a), unit(b));
    expect(value).toBeCloseTo(1000 * expected, 4);
  });

  test('the interval of the Fréchet distance contains it, narrows with more images and depends on the seed only', async () => {
    const [few] = await score('fid', normals('a', 60, 0.5), normals('b', 500), { bootstrap: 20 });
    const [many] = await score('fid', normals('a', 1500, 0.5), normals('b', 500), { bootstrap: 20 });
    const [again] = await score('fid', normals('a', 60, 0.5), normals('b', 500), { bootstrap: 20 });
    expect(few.low!).toBeLessThan(few.value);
    expect(few.high!).toBeGreaterThan(few.value);
    expect(many.high! - many.low!).toBeLessThan(0.5 * (few.high! - few.low!));
    expect(again).toEqual(few);
  });

  test('samples that keep to the middle are precise but recall little', async () => {
    const narrow = await score('precision-recall', normals('a', 300, 0, 0.2), normals('real', 300));
    expect(named(narrow, 'precision')).toBeGreaterThan(0.95);
    expect(named(narrow, 'recall')).toBeLessThan(0.3);
  });

  test('spread-out samples recall much but are not precise', async () => {
    const wide = await score('precision-recall', normals('b', 300, 0, 4), normals('real', 300));
    expect(named(wide, 'precision')).toBeLessThan(0.3);
    expect(named(wide, 'recall')).toBeGreaterThan(0.95);
  });

  const set = normals('a', 50, 30);

  test('precision and recall of a set and itself are 1, whatever the offset', async () => {
    const scores = await score('precision-recall', set, set);
    expect([named(scores, 'precision'), named(scores, 'recall')]).toEqual([1, 1]);
  });

  test('precision and recall need more than three images per side', async () => {
    await expect(score('precision-recall', normals('a', 3), set)).rejects.toThrow(/more than 3 images per side/);
  });

  test('the inception score is 1 for one prediction, the number of classes for sharp and even ones', async () => {
    const same: FeatureRows = { rows: 60, width: 6, data: new Float32Array(360).map((_, i) => (i % 6 === 2 ? 9 : 0)) };
    const sharp: FeatureRows = {
      rows: 60,
      width: 6,
      data: new Float32Array(360).map((_, i) => (i % 6 === Math.floor(i / 6) % 6 ? 80 : 0)),
    };
    const [one] = await score('is', same, same);
    const [six] = await score('is', sharp, sharp);
    expect(one.value).toBeCloseTo(1, 10);
    expect(six.value).toBeCloseTo(6, 10);
  });

  test('no tensor stays behind', async () => {
    const before = tf.memory().numTensors;
    for (const { name } of await openMetrics()) await score(name, normals('a', 40), normals('b', 40));
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('PSNR and SSIM', () => {
  const image = (seed: string, scale: number): Float32Array =>
    new RandomNumbers(2, seed).normals(16 * 20 * 3).map(value => scale * value);
  const pair = (noise: number) => {
    const truth = image('truth', 0.3);
    const error = image('error', noise);
    return { height: 16, width: 20, truth, reconstruction: truth.map((value, i) => value + error[i]) };
  };
  const of = (name: string, variant: string, noise: number): number =>
    PAIR_METRICS.find(metric => metric.name === name && metric.variant === variant)!.of(pair(noise));

  test.each(PAIR_METRICS.map(({ name, variant }) => [name, variant]))(
    '%s (%s) falls with the noise',
    (name, variant) => {
      expect(of(name, variant, 0.05)).toBeGreaterThan(of(name, variant, 0.2));
    },
  );

  test('equal images: infinite PSNR, SSIM 1', () => {
    expect(of('psnr', 'uint8', 0)).toBe(Infinity);
    expect(of('ssim', 'gaussian-uint8', 0)).toBeCloseTo(1, 12);
  });

  test('the doubled range flatters: never below the right one', () => {
    expect(of('ssim', 'maetok', 0.2)).toBeGreaterThan(of('ssim', 'skimage', 0.2));
  });

  test('an image smaller than the window is refused', () => {
    const tiny = { height: 6, width: 9, truth: new Float32Array(162), reconstruction: new Float32Array(162) };
    const [, , ssim] = PAIR_METRICS;
    expect(() => ssim.of(tiny)).toThrow(/windows of 11 pixels; images of 9×6 are too small/);
  });
});
