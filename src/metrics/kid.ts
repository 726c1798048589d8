import { RandomNumbers, UserError } from '../base/index.js';
import { alone, gathered, shareOf } from '../distributed/index.js';
import { tf, type Tensor2D } from '../engine/index.js';
import type { DistributionMetric } from './metric.js';
import { chosenRows, keep, noRows, together, type FeatureRows, type KeptRows } from './rows.js';

/**
 * Unbiased squared maximum mean discrepancy with the kernel (x·y / width + 1)³ (Bińkowski et al. 2018, eq. 4). May be
 * negative for sets that are alike.
 */
export async function polynomialMmd(x: FeatureRows, y: FeatureRows): Promise<number> {
  const [m, n] = [x.rows, y.rows];
  if (m < 2 || n < 2)
    throw new UserError(`the kernel distance needs at least 2 images per side, ${m} and ${n} were given`);
  const xx = await kernelSum(x, x, true);
  const yy = await kernelSum(y, y, true);
  const xy = await kernelSum(x, y, false);
  return xx / (m * (m - 1)) + yy / (n * (n - 1)) - (2 * xy) / (m * n);
}

/** Σ k(x_i, y_j), the diagonal left out where a set meets itself. Cubes are summed in float64: they nearly cancel. */
async function kernelSum(x: FeatureRows, y: FeatureRows, withoutDiagonal: boolean): Promise<number> {
  const products = tf.tidy(() => {
    const tensor = ({ rows, width, data }: FeatureRows): Tensor2D => tf.tensor2d(data, [rows, width]);
    return tf.matMul(tensor(x), tensor(y), false, true);
  });
  const values = (await products.data()) as Float32Array;
  products.dispose();
  let sum = 0;
  for (let i = 0; i < x.rows; i++) {
    for (let j = 0; j < y.rows; j++) {
      if (withoutDiagonal && i === j) continue;
      const base = values[i * y.rows + j] / x.width + 1;
      sum += base * base * base;
    }
  }
  return sum;
}

const SUBSETS = 100;
const SUBSET_SIZE = 1000;

/** KID as published: the mean over random subsets. */
export const kid: DistributionMetric<KeptRows> = {
  name: 'kid',
  otherwise: 'kd',
  needs: 'pooled',
  sides: 'both',
  init: ({ width }) => noRows(width),
  add: keep,
  caveat: (scores, { name, images }) =>
    scores.every(({ std }) => std === undefined)
      ? `${images} images on each side are a single subset for ${name}, whose deviation is then undefined`
      : undefined,
  value: async (sample, reference, { seed, communicator = alone }) => {
    const [x, y] = [together(sample), together(reference!)];
    const size = Math.min(SUBSET_SIZE, x.rows, y.rows);
    // A subset as large as both sets is both sets: drawn again it is the same, with no standard deviation to report.
    if (size === x.rows && size === y.rows)
      return [{ variant: `all ${size}, no subsets`, value: await polynomialMmd(x, y) }];
    const draw = (side: string, rows: FeatureRows, i: number): FeatureRows =>
      chosenRows(rows, new RandomNumbers(seed, `kid/${side}`).at(i).permutation(rows.rows).subarray(0, size));
    const { start, end } = shareOf(communicator, SUBSETS);
    const own = new Float64Array(end - start);
    for (let i = start; i < end; i++)
      own[i - start] = await polynomialMmd(draw('sample', x, i), draw('reference', y, i));
    const values = await gathered(communicator, own);
    const value = values.reduce((sum, mmd) => sum + mmd, 0) / SUBSETS;
    const std = Math.sqrt(values.reduce((sum, mmd) => sum + (mmd - value) ** 2, 0) / SUBSETS);
    return [{ variant: `${SUBSETS} subsets of ${size}`, value, std }];
  },
};
