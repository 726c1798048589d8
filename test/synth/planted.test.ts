import { beforeAll, describe, expect, it } from '@jest/globals';
import { RandomNumbers } from '../../src/base/index.js';
import { startEngine, tf, type Tensor2D } from '../../src/engine/index.js';
import { diffusionFloor } from '../../src/gmm/index.js';
import { drawRows, extentOf, leastSquaresSlopes, plantedMixture, trainDenoiser } from '../../src/synth/index.js';
import { bestVelocity } from '../../src/synth/velocity.js';

const random = new RandomNumbers(0);

beforeAll(async () => {
  await startEngine();
});

describe('a planted mixture', () => {
  it.each([
    [1, 4],
    [4, 0.5],
    [30, 6],
  ])(
    'of %d modes at separation %d has mean zero and unit variance, in formulas and in its rows',
    (components, separation) => {
      const dims = 6;
      const mixture = plantedMixture({ components, dims, separation, random });
      let variance = mixture.covariances[0];
      for (const value of mixture.means) variance += value ** 2 / (components * dims);
      expect(variance).toBeCloseTo(1, 10);
      const { data, labels } = drawRows(mixture, 2000, random);
      const sum = data.reduce((a, b) => a + b, 0);
      expect(Math.abs(sum / data.length)).toBeLessThan(0.05);
      expect(Math.abs(data.reduce((a, b) => a + b * b, 0) / data.length - 1)).toBeLessThan(0.08);
      expect(new Set(labels).size).toBe(components);
    },
  );
});

describe('the best velocity', () => {
  const dims = 3;
  const mixture = plantedMixture({ components: 5, dims, separation: 3, random });

  it('errs by exactly the floor of the diffusion loss', () => {
    const rows = 4000;
    for (const time of [0.1, 0.5, 0.9]) {
      const x1 = tf.tensor2d(drawRows(mixture, rows, random).data, [rows, dims]);
      const x0 = tf.tensor2d(random.for('noise').normals(rows * dims), [rows, dims]);
      const loss = tf.tidy(() => {
        const x = x1.mul(time).add<Tensor2D>(x0.mul(1 - time));
        return bestVelocity(mixture, x, tf.fill([rows, 1], time))
          .sub(x1.sub(x0))
          .square()
          .mean()
          .dataSync()[0];
      });
      const [floor] = diffusionFloor(mixture, { times: [time], samples: 4000, seed: 0 });
      expect(Math.abs(loss / floor - 1)).toBeLessThan(0.05);
      tf.dispose([x1, x0]);
    }
  });

  it('of one Gaussian is a line', () => {
    const one = plantedMixture({ components: 1, dims: 1, separation: 1, random });
    const [x, t] = [tf.tensor2d([2], [1, 1]), tf.tensor2d([0.8], [1, 1])];
    const slope = (0.8 - 0.2) / (0.8 ** 2 + 0.2 ** 2);
    expect(bestVelocity(one, x, t).dataSync()[0]).toBeCloseTo(2 * slope, 5);
  });
});

describe('a denoiser', () => {
  const options = { batch: 128, width: 64, depth: 1, lr: 5e-3, seed: 0 };
  const planted = (components: number) => plantedMixture({ components, dims: 8, separation: 3, random });

  it('is the same again from the same seed, and leaves no tensors behind', async () => {
    const before = tf.memory().numTensors;
    const run = () => trainDenoiser(planted(3), { ...options, rows: 100, steps: 10 });
    expect(await run()).toEqual(await run());
    expect(tf.memory().numTensors).toBe(before);
  });

  it('falls further short of the best with more modes, as the theorem has it', async () => {
    const excess = async (components: number) =>
      (await trainDenoiser(planted(components), { ...options, rows: 2000, steps: 120 })).excess;
    expect(await excess(16)).toBeGreaterThan(1.3 * (await excess(2)));
  });

  it('and with fewer rows', async () => {
    const excess = async (rows: number) => (await trainDenoiser(planted(4), { ...options, rows, steps: 120 })).excess;
    expect(await excess(24)).toBeGreaterThan(1.1 * (await excess(2000)));
  });
});

describe('slopes by least squares', () => {
  it('are found where the plane is exact', () => {
    const [a, b] = [
      [0, 1, 2, 3, 5],
      [1, 0, 4, 2, 2],
    ];
    const slopes = leastSquaresSlopes(
      [a, b],
      a.map((value, i) => 7 + 2 * value - 0.5 * b[i]),
    )!;
    expect(slopes.map(({ value }) => value)).toBeAllClose([2, -0.5]);
    expect(slopes[0].high - slopes[0].low).toBeLessThan(1e-6);
  });

  it('have intervals that hold the truth in about 95 of 100 cases', () => {
    const x = [0, 1, 2, 3, 4, 5];
    let held = 0;
    for (let i = 0; i < 300; i++) {
      const noise = random.for('slopes').at(i).normals(6);
      const [{ low, high }] = leastSquaresSlopes(
        [x],
        x.map((value, j) => value + noise[j]),
      )!;
      if (low <= 1 && high >= 1) held++;
    }
    expect(held / 300).toBeGreaterThan(0.92);
    expect(held / 300).toBeLessThan(0.98);
  });

  it('are not made up where there are too few points, or none that tell', () => {
    expect(leastSquaresSlopes([[1, 2]], [1, 2])).toBeUndefined();
    expect(leastSquaresSlopes([[2, 2, 2, 2]], [1, 2, 3, 4])).toBeUndefined();
  });
});

it('the extent of points is that of their hull', () => {
  const square = Float32Array.of(0, 0, 2, 0, 2, 2, 0, 2, 1, 1, 1, 0, 0.5, 0.3);
  expect(extentOf(square).area).toBeCloseTo(4, 6);
  expect(extentOf(Float32Array.of(-1, 0, 1, 0, 0, 1, 0, -1)).radius).toBeCloseTo(1, 6);
});
