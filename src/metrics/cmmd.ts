import { UserError } from '../base/index.js';
import { tf } from '../engine/index.js';
import { unitRows } from '../neighbours/index.js';
import type { DistributionMetric } from './metric.js';
import { keep, noRows, together, type FeatureRows, type KeptRows } from './rows.js';

/** As published: the kernel's width for features of unit length, and what the distance is multiplied by. */
const SIGMA = 10;
const SCALE = 1000;
/** Products held at once. */
const PRODUCTS = 2 ** 22;

/**
 * CMMD (Jayasumana et al. 2024): squared maximum mean discrepancy, biased, with the Gaussian kernel exp(−‖x − y‖² / 2σ²)
 * on features of unit length, σ = 10, times 1000. The paper's features are CLIP's.
 */
export async function gaussianMmd(x: FeatureRows, y: FeatureRows): Promise<number> {
  const [xx, yy, xy] = [await meanDeparture(x, x), await meanDeparture(y, y), await meanDeparture(x, y)];
  return SCALE * (2 * xy - xx - yy);
}

/** Mean of 1 − k(x, y): with so wide a kernel k itself is so near to 1 that its digits would cancel. */
async function meanDeparture(x: FeatureRows, y: FeatureRows): Promise<number> {
  const [a, b] = tf.tidy(() => [x, y].map(({ rows, width, data }) => unitRows(tf.tensor2d(data, [rows, width]))));
  const step = Math.max(1, Math.floor(PRODUCTS / y.rows));
  let sum = 0;
  try {
    for (let first = 0; first < x.rows; first += step) {
      const products = tf.tidy(() =>
        tf.matMul(a.slice([first, 0], [Math.min(step, x.rows - first), -1]), b, false, true),
      );
      for (const cosine of await products.data<'float32'>()) sum -= Math.expm1((cosine - 1) / SIGMA ** 2);
      products.dispose();
    }
  } finally {
    tf.dispose([a, b]);
  }
  return sum / (x.rows * y.rows);
}

/** CMMD's distance on whatever features were chosen. */
export const cmmd: DistributionMetric<KeptRows> = {
  name: 'cmmd',
  otherwise: 'cmmd',
  byRequest: true,
  needs: 'pooled',
  sides: 'both',
  init: ({ width }) => noRows(width),
  add: keep,
  value: async (sample, reference) => {
    const [x, y] = [together(sample), together(reference!)];
    if (x.rows === 0 || y.rows === 0) throw new UserError('cmmd needs an image on each side');
    return [{ variant: `Gaussian kernel σ=${SIGMA} on unit features, ×${SCALE}`, value: await gaussianMmd(x, y) }];
  },
};
