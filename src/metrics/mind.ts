import { RandomNumbers } from '../base/index.js';
import { tf, type Tensor2D } from '../engine/index.js';
import type { DistributionMetric } from './metric.js';
import { chosenRows, keep, noRows, together, type FeatureRows, type KeptRows } from './rows.js';

/** Projections held at once. */
const PROJECTIONS = 2 ** 22;

/**
 * MIND (Monge Inception Distance; Berthet et al. 2026), as torch-fidelity defines it: 3 · width times the mean squared
 * difference of the two sets' projections, each sorted, over unit directions [directions, width]. Both sets have as
 * many rows.
 */
export async function mongeDistance(x: FeatureRows, y: FeatureRows, directions: FeatureRows): Promise<number> {
  const step = Math.max(1, Math.floor(PROJECTIONS / x.rows));
  let sum = 0;
  for (let first = 0; first < directions.rows; first += step) {
    const count = Math.min(step, directions.rows - first);
    const data = directions.data.subarray(first * x.width, (first + count) * x.width);
    const [ours, theirs] = [await projections(x, data), await projections(y, data)];
    for (let direction = 0; direction < count; direction++) {
      const sorted = (values: Float32Array): Float32Array =>
        values.subarray(direction * x.rows, (direction + 1) * x.rows).sort();
      const [a, b] = [sorted(ours), sorted(theirs)];
      for (let i = 0; i < x.rows; i++) sum += (a[i] - b[i]) ** 2;
    }
  }
  return (3 * x.width * sum) / (x.rows * directions.rows);
}

/** [directions, rows] */
async function projections({ rows, width, data }: FeatureRows, directions: Float32Array): Promise<Float32Array> {
  const products = tf.tidy(() => {
    const axes: Tensor2D = tf.tensor2d(directions, [directions.length / width, width]);
    return tf.matMul(axes, tf.tensor2d(data, [rows, width]), false, true);
  });
  const values = await products.data<'float32'>();
  products.dispose();
  return values;
}

/** `count` unit directions, evenly spread over the sphere. */
function unitDirections(count: number, width: number, random: RandomNumbers): FeatureRows {
  const data = random.normals(count * width);
  for (let at = 0; at < data.length; at += width) {
    const own = data.subarray(at, at + width);
    const length = Math.sqrt(own.reduce((sum, value) => sum + value * value, 0));
    for (let i = 0; i < width; i++) own[i] /= length;
  }
  return { rows: count, width, data: Float32Array.from(data) };
}

/** MIND, on as many images of the larger set, drawn by seed, as the smaller has. */
export const mind: DistributionMetric<KeptRows> = {
  name: 'mind',
  otherwise: 'monge',
  byRequest: true,
  needs: 'pooled',
  sides: 'both',
  init: ({ width }) => noRows(width),
  add: keep,
  value: async (sample, reference, { seed, directions }) => {
    const random = new RandomNumbers(seed, 'mind');
    const size = Math.min(sample.count, reference!.count);
    const drawn = (side: string, kept: KeptRows): FeatureRows => {
      const rows = together(kept);
      return rows.rows === size ? rows : chosenRows(rows, random.for(side).permutation(rows.rows).subarray(0, size));
    };
    const along = unitDirections(directions, sample.width, random.for('directions'));
    const value = await mongeDistance(drawn('sample', sample), drawn('reference', reference!), along);
    return [{ variant: `${directions} directions, ${size} images a side`, value }];
  },
};
