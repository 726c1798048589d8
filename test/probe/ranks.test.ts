import { beforeAll, describe, expect, it } from '@jest/globals';
import { RandomNumbers } from '../../src/base/index.js';
import type { Communicator } from '../../src/distributed/index.js';
import { startEngine, tf } from '../../src/engine/index.js';
import { featureMatrix, fitLogistic, knnScores, logisticScores, standardisation } from '../../src/probe/index.js';
import { attentiveScores } from '../../src/probe/attentive.js';
import { DINOV2, headScores, MAE, trainHeads } from '../../src/probe/heads.js';
import type { FeatureMatrix } from '../../src/probe/matrix.js';
import { arrayRows } from '../../src/rows/index.js';
import { asRanks } from '../helpers/ranks.js';

beforeAll(async () => {
  await startEngine();
});

const CLASSES = 3;

/** Classes that overlap, in columns of different scales, as a rank holds them. */
async function blurred(rows: number, width: number, communicator?: Communicator): Promise<FeatureMatrix> {
  const random = new RandomNumbers(rows);
  const labels = Int32Array.from({ length: rows }, (_, row) => row % CLASSES);
  const x = random.for('x').normals(rows * width);
  labels.forEach((label, row) => (x[row * width + label] += 1.5));
  x.forEach((value, at) => (x[at] = value * (1 + (at % width)) + 30));
  const source = arrayRows('blurred', x, rows, width);
  return await featureMatrix(source, labels, await standardisation(source, communicator), communicator);
}

/** What every rank gets of the work on a matrix that they share, after one process' own. */
async function asOneAndAsRanks<T>(
  size: number,
  [rows, width]: readonly [number, number],
  work: (data: FeatureMatrix) => Promise<T>,
): Promise<{ one: T; ranks: T[] }> {
  const run = async (communicator?: Communicator): Promise<T> => {
    const data = await blurred(rows, width, communicator);
    try {
      return await work(data);
    } finally {
      data.dispose();
    }
  };
  const before = tf.memory().numTensors;
  const found = { one: await run(), ranks: await asRanks(size, run) };
  expect(tf.memory().numTensors).toBe(before);
  return found;
}

describe.each([2, 3, 4])('%i ranks, each with its share of the rows', size => {
  it.each([
    ['more rows than columns', [400, 6]],
    ['many more, of which some show the axes', [403, 4]],
    ['fewer rows than columns', [30, 50]],
  ] as const)('fit the logistic regression of one process, in as many steps: %s', async (_, shape) => {
    const { one, ranks } = await asOneAndAsRanks(size, shape, async data => {
      const models = await fitLogistic(data, { classes: CLASSES, inversePenalties: [0.01, 0.1] });
      return { models, scores: await logisticScores(models[1], data) };
    });
    for (const { models, scores } of ranks) {
      models.forEach((model, i) => {
        expect(model.iterations).toBe(one.models[i].iterations);
        expect(model.objective).toBeCloseTo(one.models[i].objective, 6);
        expect(model.weights).toEqual(ranks[0].models[i].weights);
        expect(model.weights).toBeAllClose(one.models[i].weights, { rtol: 1e-4, atol: 1e-5 });
      });
      expect(scores).toBeAllClose(one.scores, { rtol: 1e-5, atol: 1e-5 });
    }
  });

  it('count the votes of all training rows', async () => {
    const { one, ranks } = await asOneAndAsRanks(size, [90, 5], data => knnScores(data, data, CLASSES, [1, 7]));
    for (const scores of ranks)
      scores.forEach((own, i) => expect(own.map(Math.exp)).toBeAllClose(one[i].map(Math.exp), { rtol: 1e-5 }));
  });

  it.each([
    ['one head, by the rows of a batch', { ...MAE, epochs: 3, warmupEpochs: 1 }],
    ['several, each by one rank', { ...DINOV2, steps: 30 }],
  ])('train the same heads: %s', async (_, protocol) => {
    const { one, ranks } = await asOneAndAsRanks(size, [200, 6], async data => {
      const heads = await trainHeads(data, CLASSES, protocol, { seed: 1 });
      const scores = await headScores(heads, data);
      heads.dispose();
      return scores;
    });
    for (const scores of ranks)
      scores.forEach((own, head) => expect(own).toBeAllClose(one[head], { rtol: 1e-4, atol: 1e-4 }));
  });

  it('train the same attentive probe', async () => {
    const options = { classes: CLASSES, tokens: 3, width: 8, heads: 2, epochs: 2, batchSize: 20, seed: 1 };
    const { one, ranks } = await asOneAndAsRanks(size, [60, 6], data => attentiveScores(data, data, options));
    for (const scores of ranks) expect(scores).toBeAllClose(one, { rtol: 1e-4, atol: 1e-5 });
  });
});

it('ranks without any rows of their own go along', async () => {
  const { one, ranks } = await asOneAndAsRanks(4, [3, 4], async data => {
    const [model] = await fitLogistic(data, { classes: CLASSES, inversePenalties: [0.1] });
    const heads = await trainHeads(data, CLASSES, { ...DINOV2, rates: [0.1], steps: 3 }, { seed: 1 });
    const [scores] = await headScores(heads, data);
    heads.dispose();
    const [votes] = await knnScores(data, data, CLASSES, [2]);
    return [await logisticScores(model, data), scores, votes.map(Math.exp)];
  });
  for (const found of ranks) found.forEach((own, i) => expect(own).toBeAllClose(one[i], { rtol: 1e-4, atol: 1e-5 }));
});
