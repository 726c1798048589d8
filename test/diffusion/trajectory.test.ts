import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { RandomNumbers } from '../../src/base/index.js';
import {
  dopri5,
  euler,
  heun,
  PathRuler,
  rk4,
  timeGrid,
  type PathMeasures,
  type Sampler,
} from '../../src/diffusion/index.js';
import { startEngine, tf, type Tensor, type Tensor3D } from '../../src/engine/index.js';

beforeAll(async () => {
  await startEngine();
});

const normals = (purpose: string, shape: [number, number, number]): Tensor3D =>
  tf.tensor3d(new RandomNumbers(3).for(purpose).normals(shape[0] * shape[1] * shape[2]), shape);

/** The measures of a sampler's paths. */
async function walked(
  sampler: Sampler,
  field: (x: Tensor, t: number) => Tensor,
  start: Tensor,
  times: Float64Array,
): Promise<PathMeasures> {
  const ruler = new PathRuler();
  ruler.take(start);
  const end = await sampler(field, start, times, { onStep: ({ x }) => ruler.take(x) });
  end.dispose();
  return await ruler.read();
}

describe('paths', () => {
  it.each([
    ['euler', euler],
    ['heun', heun],
    ['rk4', rk4],
    ['dopri5', dopri5()],
  ])('of a constant velocity are straight and efficient whatever the steps: %s', async (_, sampler) => {
    const [start, velocity] = [normals('start', [3, 4, 2]), normals('velocity', [3, 4, 2])];
    const measures = await walked(sampler, () => velocity.clone(), start, Float64Array.of(0, 0.1, 0.15, 0.6, 1));
    for (const values of [measures.straightness, measures.efficiency]) {
      expect(values).toBeAllClose([1, 1, 1], { atol: 1e-6 });
      expect(Math.max(...values)).toBeLessThanOrEqual(1);
    }
  });

  it('measure what numpy measures (fixtures/golden/diffusion/record-paths.py)', async () => {
    const path = fileURLToPath(new URL('../../fixtures/golden/diffusion/paths.json', import.meta.url));
    const recorded = JSON.parse(readFileSync(path, 'utf8')) as {
      steps: number;
      start: number[][][];
      mean: number[][];
      std: number[][];
    } & Record<keyof PathMeasures, number[]>;
    const [mean, variance] = [tf.tensor(recorded.mean), tf.tensor(recorded.std).square()];
    const field = (x: Tensor, t: number): Tensor =>
      tf.tidy(() => {
        const slope = variance
          .mul(t)
          .sub(1 - t)
          .div(variance.mul(t * t).add((1 - t) ** 2));
        return mean.add(slope.mul(x.sub(mean.mul(t))));
      });
    const found = await walked(euler, field, tf.tensor3d(recorded.start), timeGrid(recorded.steps + 1, 0, 1));
    expect(found.straightness).toBeAllClose(recorded.straightness, { rtol: 1e-5 });
    expect(found.efficiency).toBeAllClose(recorded.efficiency, { rtol: 1e-5 });
  });

  it('around a circle return to where they began', async () => {
    const start = tf.tensor3d([1, 0, 0, 2], [2, 2, 1]);
    const turn = (x: Tensor): Tensor =>
      tf.tidy(() => tf.reverse(x, 1).mul(tf.tensor1d([-2 * Math.PI, 2 * Math.PI]).reshape([1, 2, 1])));
    const measures = await walked(rk4, turn, start, timeGrid(25, 0, 1));
    expect(measures.straightness).toBeAllClose(Array(2).fill(Math.cos((2 * Math.PI) / 24)), { atol: 1e-3 });
    expect(Math.max(...measures.efficiency)).toBeLessThan(1e-3);
  });

  it('that stand still have no measures, and keep no tensors', async () => {
    const start = normals('start', [1, 2, 2]);
    const tensors = tf.memory().numTensors;
    const ruler = new PathRuler();
    for (let step = 0; step < 3; step++) ruler.take(start);
    expect(await ruler.read()).toEqual({ straightness: Float32Array.of(NaN), efficiency: Float32Array.of(NaN) });
    ruler.take(start);
    ruler.dispose();
    expect(tf.memory().numTensors).toBe(tensors);
  });
});
