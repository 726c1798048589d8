import { readFileSync } from 'node:fs';
import { beforeAll, expect, it, describe } from '@jest/globals';
import { startEngine, tf } from '../../src/engine/index.js';
import { readSafetensors } from '../../src/io/index.js';
import { arrayRows } from '../../src/rows/index.js';
import {
  featureMatrix,
  fitLogistic,
  knnScores,
  logisticScores,
  score,
  standardisation,
  unscaled,
} from '../../src/probe/index.js';
import { describeWithShared, SHARED } from '../helpers/shared.js';

interface Recorded {
  x: number[][];
  labels: number[];
  cases: { C: number; weights: number[][]; bias: number[]; train_accuracy: number }[];
}

/** scikit-learn's solutions; see record.py beside them. */
const record = (name: string): Recorded =>
  JSON.parse(readFileSync(new URL(`../../fixtures/golden/probe/${name}.json`, import.meta.url), 'utf8')) as Recorded;
const recorded = record('logistic');
const wide = record('logistic-wide');

beforeAll(async () => {
  await startEngine();
});

async function recordedMatrix({ x, labels } = recorded) {
  const width = x[0].length;
  const source = arrayRows('recorded', Float32Array.from(x.flat()), x.length, width);
  return await featureMatrix(source, Int32Array.from(labels), unscaled(width));
}

describe('logistic regression', () => {
  it.each([
    ['more rows than columns', recorded, 2e-3],
    // Separated without an error, they leave the weights to the penalty, and so less certain.
    ['fewer, some of them alike', wide, 1e-2],
  ])('agrees with scikit-learn at every penalty: %s', async (_, recorded, rtol) => {
    const data = await recordedMatrix(recorded);
    const models = await fitLogistic(data, {
      classes: 4,
      inversePenalties: recorded.cases.map(({ C }) => C),
      tolerance: 1e-6,
    });
    for (const [i, { weights, bias, train_accuracy }] of recorded.cases.entries()) {
      expect(models[i].converged).toBe(true);
      // Where the penalty is weakest a gradient of that size leaves them about as uncertain.
      expect(models[i].weights).toBeAllClose(weights.flat(), { rtol });
      // Intercepts are free up to a common offset.
      const offset = models[i].bias.reduce((sum, b) => sum + b, 0) / 4;
      expect(models[i].bias.map(b => b - offset)).toBeAllClose(bias, { rtol, atol: 1e-3 });
      const { accuracy } = score(await logisticScores(models[i], data), data.labels, 4);
      expect(accuracy).toBeCloseTo(train_accuracy, 9);
    }
    data.dispose();
  });

  it.each([1e-7, 5e-7, 1e6])('learns the same from features in another unit: × %d', async unit => {
    const width = recorded.x[0].length;
    const labels = Int32Array.from(recorded.labels);
    const standardised = async (scale: number) => {
      const x = Float32Array.from(recorded.x.flat(), value => (value + 3) * scale);
      const source = arrayRows('x', x, recorded.x.length, width);
      return await featureMatrix(source, labels, await standardisation(source));
    };
    const learnt = async (scale: number) => {
      const data = await standardised(scale);
      const [model] = await fitLogistic(data, { classes: 4, inversePenalties: [1] });
      const own = score(await logisticScores(model, data), labels, 4).accuracy;
      const [votes] = await knnScores(data, data, 4, [5]);
      data.dispose();
      return { own, weights: model.weights, knn: score(votes, labels, 4).accuracy };
    };
    const [one, other] = [await learnt(1), await learnt(unit)];
    expect(other.weights).toBeAllClose(one.weights, { rtol: 1e-3, atol: 1e-4 });
    expect([other.own, other.knn]).toEqual([one.own, one.knn]);
    expect(one.own).toBeGreaterThan(0.5);
  });

  it('leaves no tensors behind', async () => {
    const before = tf.memory().numTensors;
    const data = await recordedMatrix();
    const [model] = await fitLogistic(data, { classes: 4, inversePenalties: [1] });
    await logisticScores(model, data);
    await knnScores(data, data, 4, [1, 5]);
    data.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('nearest neighbours', () => {
  it('a row is its own nearest neighbour', async () => {
    const data = await recordedMatrix();
    const [scores] = await knnScores(data, data, 4, [1]);
    expect(score(scores, data.labels, 4).accuracy).toBe(1);
    data.dispose();
  });

  it('a class without a vote is not among the five best, few classes or not', async () => {
    // Directions 0, 1, …, 6 on a circle, each its own class; queries lie between two of them.
    const points = Float32Array.from({ length: 14 }, (_, i) => (i % 2 ? Math.sin : Math.cos)(0.3 * Math.floor(i / 2)));
    const labels = Int32Array.of(0, 1, 2, 3, 4, 5, 6);
    const train = await featureMatrix(arrayRows('points', points, 7, 2), labels, unscaled(2));
    const wrong = await featureMatrix(
      arrayRows('points', points, 7, 2),
      Int32Array.of(1, 2, 3, 4, 5, 6, 5),
      unscaled(2),
    );
    const [one, three] = await knnScores(train, wrong, 7, [1, 3], 'majority');
    expect(score(one, wrong.labels, 7)).toMatchObject({ accuracy: 0, top5: 0, calibrationError: 1 });
    expect(score(three, wrong.labels, 7).top5).toBe(1);
    for (const matrix of [train, wrong]) matrix.dispose();
  });
});

describeWithShared('data/features', 'real features', () => {
  it('give the accuracies that scikit-learn gives', async () => {
    const file = await readSafetensors(`${SHARED}/data/features/cifar10-6k-efficientnet-lite0.safetensors`);
    const reference = JSON.parse(readFileSync(`${SHARED}/data/features/cifar10-6k-reference.json`, 'utf8')) as {
      efficientnet_lite0: Record<string, number>;
    };
    const rows = (split: string) => {
      const { shape, data } = file[`${split}.features`];
      return arrayRows(split, data as Float32Array, shape[0], shape[1]);
    };
    const labels = (split: string): Int32Array => Int32Array.from(file[`${split}.labels`].data as Uint8Array);
    const scale = await standardisation(rows('train'));
    const train = await featureMatrix(rows('train'), labels('train'), scale);
    const val = await featureMatrix(rows('val'), labels('val'), scale);
    const [model] = await fitLogistic(train, { classes: 10, inversePenalties: [0.01] });
    const { accuracy } = score(await logisticScores(model, val), val.labels, 10);
    expect(
      Math.abs(accuracy - reference.efficientnet_lite0['logistic_regression_standardised_C0.01_top1']),
    ).toBeLessThanOrEqual(0.003);
    const raw = unscaled(1280);
    const rawTrain = await featureMatrix(rows('train'), labels('train'), raw);
    const rawVal = await featureMatrix(rows('val'), labels('val'), raw);
    const accuracies = (await knnScores(rawTrain, rawVal, 10, [1, 20], 'majority')).map(
      scores => score(scores, rawVal.labels, 10).accuracy,
    );
    const expected = [1, 20].map(
      k => reference.efficientnet_lite0[`knn_cosine_k${k}_top1_majority_lowest_class_on_tie`],
    );
    expect(accuracies).toBeAllClose(expected, { atol: 0.0011 });
    for (const matrix of [train, val, rawTrain, rawVal]) matrix.dispose();
  });
});
