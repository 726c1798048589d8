import { beforeAll, describe, expect, it } from '@jest/globals';
import { RandomNumbers } from '../../src/base/index.js';
import { withoutKernels } from '../../src/engine/compiled.js';
import { startEngine, tf } from '../../src/engine/index.js';
import { arrayRows } from '../../src/rows/index.js';
import { featureMatrix, features, score, unscaled } from '../../src/probe/index.js';
import { attentiveScores } from '../../src/probe/attentive.js';
import { DINOV2, headScores, MAE, trainHeads } from '../../src/probe/heads.js';
import type { FeatureMatrix } from '../../src/probe/matrix.js';

beforeAll(async () => {
  await startEngine();
});

/** Three Gaussian classes around distinct corners. */
async function corners(rows: number, width = 8): Promise<FeatureMatrix> {
  const random = new RandomNumbers(3);
  const labels = random.for('labels').integers(rows, 3);
  const x = random.for('x').normals(rows * width);
  labels.forEach((label, row) => (x[row * width + label] += 5));
  return await featureMatrix(arrayRows('corners', x, rows, width), labels, unscaled(width));
}

describe('heads trained step by step', () => {
  it.each([
    ['MAE', MAE],
    ['DINOv2', { ...DINOV2, steps: 200 }],
  ])('%s: separable classes are told apart', async (_, protocol) => {
    const data = await corners(600);
    const before = tf.memory().numTensors;
    const heads = await trainHeads(data, 3, protocol, { seed: 0 });
    const accuracies = (await headScores(heads, data)).map(scores => score(scores, data.labels, 3).accuracy);
    heads.dispose();
    expect(Math.max(...accuracies)).toBeGreaterThan(0.95);
    expect(tf.memory().numTensors).toBe(before);
    data.dispose();
  });

  it('batch normalisation makes a head blind to the features’ scale and offset', async () => {
    const data = await corners(200);
    const moved = {
      ...data,
      blocks: data.blocks.map(({ x, start }) => ({ start, x: x.mul<typeof x>(50).add<typeof x>(7) })),
    };
    const scores = async (matrix: FeatureMatrix): Promise<Float32Array> => {
      const heads = await trainHeads(matrix, 3, { ...MAE, epochs: 20 }, { seed: 1 });
      const [own] = await headScores(heads, matrix);
      heads.dispose();
      return own;
    };
    expect(await scores(moved)).toBeAllClose(await scores(data), { rtol: 2e-3 });
  });

  it.each([
    ['MAE', { ...MAE, epochs: 3 }],
    ['DINOv2', { ...DINOV2, steps: 30 }],
  ])('%s: the engine’s kernels train what its own operations do', async (_, protocol) => {
    const data = await corners(100);
    const weights = async (): Promise<Float32Array> => {
      const heads = await trainHeads(data, 3, protocol, { seed: 2 });
      const values = (await heads.weights.data()) as Float32Array;
      heads.dispose();
      return values;
    };
    expect(await weights()).toBeAllClose(await withoutKernels(weights), { rtol: 1e-4, atol: 1e-6 });
  });

  it('the same seed gives the same head', async () => {
    const data = await corners(100);
    const weights = async (seed: number): Promise<Float32Array> => {
      const heads = await trainHeads(data, 3, { ...DINOV2, steps: 5 }, { seed });
      const values = (await heads.weights.data()) as Float32Array;
      heads.dispose();
      return values;
    };
    expect(await weights(4)).toEqual(await weights(4));
    expect(await weights(4)).not.toEqual(await weights(5));
  });
});

describe('features of tokens', () => {
  it('token means are the mean of each channel', async () => {
    const source = arrayRows('latents', Float32Array.of(1, 2, 3, 6, 5, 6, 7, 8), 2, 4);
    const means: number[] = [];
    for await (const { data } of features('mean', source, 2).chunks()) means.push(...data);
    expect(means).toEqual([2, 4, 6, 7]);
  });

  it('an attentive probe finds a class that the token mean hides', async () => {
    // One token says whether the sign of a second channel counts as it is or reversed: the mean knows nothing of it.
    const [rows, tokens] = [600, 4];
    const random = new RandomNumbers(8);
    const labels = random.for('labels').integers(rows, 2);
    const place = random.for('place').integers(rows, tokens);
    const x = new Float32Array(rows * tokens * 2);
    for (let row = 0; row < rows; row++)
      for (let t = 0; t < tokens; t++) {
        const marked = t === place[row];
        x[(row * tokens + t) * 2] = marked ? 3 : -1;
        x[(row * tokens + t) * 2 + 1] = (labels[row] === 1 ? 1 : -1) * (marked ? 1 : -1 / 3);
      }
    const source = arrayRows('latents', x, rows, tokens * 2);
    const data = await featureMatrix(source, labels, unscaled(tokens * 2));
    const options = { classes: 2, tokens, width: 16, heads: 2, epochs: 30, lr: 1e-2, seed: 0 };
    const scores = await attentiveScores(data, data, options);
    expect(score(scores, labels, 2).accuracy).toBeGreaterThan(0.95);
    data.dispose();
  });
});
