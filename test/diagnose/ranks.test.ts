import { beforeAll, describe, expect, it } from '@jest/globals';
import { RandomNumbers } from '../../src/base/index.js';
import {
  imageMeans,
  neighbourConsistency,
  overStandardised,
  pairProducts,
  regionSimilarities,
  tokenContrast,
  velocityVariance,
} from '../../src/diagnose/diffusability/index.js';
import { cells } from '../../src/diagnose/diffusability/structure.js';
import {
  alignment,
  classCentres,
  columnMeans,
  daviesBouldin,
  excessKurtosis,
  fisherRatio,
  silhouette,
  streamedRedundancy,
} from '../../src/diagnose/index.js';
import type { LabelledSample } from '../../src/diagnose/rows.js';
import { alone, shareOf, type Communicator, type OfRanks } from '../../src/distributed/index.js';
import { startEngine, tf } from '../../src/engine/index.js';
import { arrayRows } from '../../src/rows/index.js';
import { asRanks } from '../helpers/ranks.js';

const random = new RandomNumbers(5);
const TOKENS = 9;
const CHANNELS = 4;
const WIDTH = TOKENS * CHANNELS;
const CLASSES = 3;

/** Latents of three classes, each shifted along numbers of its own. */
function latents(rows: number): LabelledSample {
  const labels = Int32Array.from({ length: rows }, (_, row) => row % CLASSES);
  const data = random.for('data').normals(rows * WIDTH);
  labels.forEach((label, row) => (data[row * WIDTH + label] += 2));
  return { rows, width: WIDTH, data, labels, classes: CLASSES };
}

const scale = { mean: new Float64Array(CHANNELS).fill(0.1), std: new Float64Array(CHANNELS).fill(1.2) };
const GRID = [3, 3] as const;

beforeAll(async () => {
  await startEngine();
});

type Measure = (sample: LabelledSample, ranks: OfRanks) => Promise<number[]>;

const spaceOf = ({ data, rows }: LabelledSample) => ({
  rows: arrayRows('x', data, rows, WIDTH),
  tokens: TOKENS,
  channels: CHANNELS,
});

const MEASURES: Record<string, Measure> = {
  'Fisher’s ratio, its shrinkage, silhouette and Davies–Bouldin': async (sample, { communicator }) => {
    const centres = classCentres(sample);
    const { ratio, shrinkage } = await fisherRatio(sample, centres, communicator);
    const worst = await daviesBouldin(sample, centres, communicator);
    return [ratio, shrinkage, worst, await silhouette(sample, centres, communicator)];
  },
  CKNNA: async (sample, { communicator }) => {
    const other = { ...sample, data: sample.data.map(x => x * Math.abs(x)) };
    const { cknna, mutualNeighbours } = await alignment(sample, other, 5, communicator);
    return [cknna, mutualNeighbours];
  },
  LNC: async (sample, { communicator }) => [
    ...(await neighbourConsistency(sample, sample.labels, 'cosine', [3, 5], communicator)),
    ...(await neighbourConsistency(sample, sample.labels, 'l2', [3, 5], communicator)),
  ],
  'excess kurtosis': async (sample, ranks) =>
    Array.from(await excessKurtosis(spaceOf(sample).rows, columnMeans(sample), ranks)),
  'token redundancy': async (sample, ranks) => {
    const moments = {
      rows: sample.rows,
      mean: columnMeans(sample),
      squares: new Float64Array(WIDTH).fill(sample.rows),
    };
    return [await streamedRedundancy(spaceOf(sample).rows, moments, TOKENS, ranks)];
  },
  VIV: async (sample, { communicator }) => {
    const found = await velocityVariance(spaceOf(sample), scale, sample.labels, { communicator });
    return [found.published, found.fair, found.withinShare, ...found.rows];
  },
  'what one pass gathers: contrasts, means, products and regions': async (sample, ranks) => {
    const masks = {
      tokens: TOKENS,
      data: Uint8Array.from({ length: sample.rows * TOKENS }, (_, at) => Number(at % TOKENS < 5)),
    };
    const ruler = cells({ far: 2 });
    const [contrast, products] = [tokenContrast(), pairProducts('z', TOKENS)];
    const means = imageMeans(
      Int32Array.from({ length: sample.rows - 2 }, (_, i) => i + 1),
      CHANNELS,
    );
    const regions = regionSimilarities(masks, [{ ruler, distances: ruler.distances(GRID) }]);
    await overStandardised(spaceOf(sample), scale, [contrast, products, means, regions], { ranks });
    return [...contrast.values, ...products.mean(), ...means.means().data, ...regions.values.flat()];
  },
};

const placed = (communicator: Communicator, rows: number): OfRanks => ({
  communicator,
  share: shareOf(communicator, rows),
});

describe.each([2, 3])('%i ranks', size => {
  it.each(Object.entries(MEASURES))('each measure what one process does: %s', async (_, measure) => {
    // More rows than columns, and fewer: products are then of the rows.
    for (const sample of [latents(61), latents(22)]) {
      const one = await measure(sample, placed(alone, sample.rows));
      const before = tf.memory().numTensors;
      for (const own of await asRanks(size, communicator => measure(sample, placed(communicator, sample.rows))))
        expect(own).toBeAllClose(one, { rtol: 1e-6, atol: 1e-7 });
      expect(tf.memory().numTensors).toBe(before);
    }
  });
});

it.each(Object.entries(MEASURES))(
  'ranks for which no rows or classes are left change nothing: %s',
  async (_, measure) => {
    const sample = latents(20);
    const one = await measure(sample, placed(alone, 20));
    const all = await asRanks(21, communicator => measure(sample, placed(communicator, 20)));
    for (const own of all) expect(own).toBeAllClose(one, { rtol: 1e-6, atol: 1e-7 });
  },
);
