import { alone, byFirst, gathered, shareOf, sumOf, type Communicator, type Share } from '../distributed/index.js';
import { eigh, hostMatMul, matMul, rowProducts, tf, type Tensor2D } from '../engine/index.js';
import { columnMeans, rowsOf, type LabelledSample } from './rows.js';

/* How far apart classes are, by Euclidean distance between unscaled rows. */

export interface ClassCentres {
  counts: Int32Array;
  /** [classes, width] */
  centres: Float64Array;
}

/** Rows per class and the mean row of each, in double precision; NaN for a class without rows. */
export function classCentres({ rows, width, data, labels, classes }: LabelledSample): ClassCentres {
  const counts = new Int32Array(classes);
  const centres = new Float64Array(classes * width);
  for (let i = 0; i < rows; i++) {
    counts[labels[i]]++;
    for (let j = 0; j < width; j++) centres[labels[i] * width + j] += data[i * width + j];
  }
  for (let at = 0; at < centres.length; at++) centres[at] /= counts[Math.floor(at / width)];
  return { counts, centres };
}

/** Calinski & Harabasz (1974): dispersion between classes over that within, each per degree of freedom. */
export function calinskiHarabasz(sample: LabelledSample, { counts, centres }: ClassCentres): number {
  const { rows, width, classes } = sample;
  const mean = columnMeans(sample);
  let between = 0;
  for (let k = 0; k < classes; k++)
    for (let j = 0; j < width; j++) between += counts[k] * (centres[k * width + j] - mean[j]) ** 2;
  let within = 0;
  for (let i = 0; i < rows; i++) within += squaredToCentre(sample, centres, i);
  return (between * (rows - classes)) / (within * (classes - 1));
}

/** Davies & Bouldin (1979): how much the worst neighbour of each class overlaps it; lower is better separated. */
export async function daviesBouldin(
  sample: LabelledSample,
  { counts, centres }: ClassCentres,
  communicator = alone,
): Promise<number> {
  const { rows, width, classes, labels } = sample;
  const scatter = new Float64Array(classes);
  for (let i = 0; i < rows; i++) scatter[labels[i]] += Math.sqrt(squaredToCentre(sample, centres, i));
  for (let k = 0; k < classes; k++) scatter[k] /= counts[k];
  const { start, end } = shareOf(communicator, classes);
  const worst = new Float64Array(end - start);
  for (let a = start; a < end; a++)
    for (let b = 0; b < classes; b++) {
      if (a === b) continue;
      let square = 0;
      for (let j = 0; j < width; j++) square += (centres[a * width + j] - centres[b * width + j]) ** 2;
      worst[a - start] = Math.max(worst[a - start], (scatter[a] + scatter[b]) / Math.sqrt(square));
    }
  return sum(await gathered(communicator, worst)) / classes;
}

const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);

function squaredToCentre({ width, data, labels }: LabelledSample, centres: Float64Array, row: number): number {
  let square = 0;
  for (let j = 0; j < width; j++) square += (data[row * width + j] - centres[labels[row] * width + j]) ** 2;
  return square;
}

/** Distances held at once. */
const DISTANCES = 2 ** 19;

/** Mean silhouette (Rousseeuw 1987); a row that is alone in its class counts as 0. Ranks divide the rows. */
export async function silhouette(
  sample: LabelledSample,
  { counts }: ClassCentres,
  communicator = alone,
): Promise<number> {
  const { rows, width, data, labels, classes } = sample;
  const [x, norms, members] = tf.tidy((): [Tensor2D, Tensor2D, Tensor2D] => {
    const raw = tf.tensor2d(data, [rows, width]);
    // Centred, so that a common offset costs no digits.
    const centred = raw.sub<Tensor2D>(raw.mean(0, true));
    return [centred, centred.square().sum(1, true), tf.oneHot(labels, classes).toFloat() as Tensor2D];
  });
  const step = Math.max(1, Math.floor(DISTANCES / rows));
  const { start, end } = shareOf(communicator, rows);
  const own = new Float64Array(end - start);
  try {
    for (let first = start; first < end; first += step) {
      const count = Math.min(step, end - first);
      const block = tf.tidy(() => {
        const inner = matMul(tf.slice2d(x, [first, 0], [count, width]), x, { transposeB: true });
        const squares = tf
          .slice2d(norms, [first, 0], [count, 1])
          .add(norms.reshape([1, rows]))
          .sub(inner.mul(2));
        // A row's distance to itself would be the root of a rounding error.
        const others = tf.oneHot(tf.range(first, first + count, 1, 'int32'), rows, 0, 1);
        return matMul(tf.sqrt(tf.relu(squares)).mul(others), members);
      });
      const sums = await block.data<'float32'>();
      block.dispose();
      for (let i = 0; i < count; i++)
        own[first - start + i] = silhouetteOf(sums.subarray(i * classes, (i + 1) * classes), labels[first + i], counts);
    }
  } finally {
    tf.dispose([x, norms, members]);
  }
  return sum(await gathered(communicator, own)) / rows;
}

/** The silhouette of one row, from its sums of distances to each class. */
function silhouetteOf(sums: Float32Array, label: number, counts: Int32Array): number {
  if (counts[label] < 2) return 0;
  const within = sums[label] / (counts[label] - 1);
  let nearest = Infinity;
  sums.forEach((sum, k) => {
    if (k !== label) nearest = Math.min(nearest, sum / counts[k]);
  });
  const larger = Math.max(within, nearest);
  return larger > 0 ? (nearest - within) / larger : 0;
}

export interface FisherRatio {
  /** tr(S_w⁻¹ S_b) */
  ratio: number;
  /** How far S_w was drawn towards a multiple of the identity, 0 to 1. */
  shrinkage: number;
}

/**
 * Fisher's ratio tr(S_w⁻¹ S_b) of the covariance between classes to that within, the latter shrunk as Ledoit & Wolf
 * (2004) choose it, since with few rows per dimension it could not be inverted. Ranks divide the rows' products; rank 0
 * solves.
 */
export async function fisherRatio(
  sample: LabelledSample,
  { counts }: ClassCentres,
  communicator = alone,
): Promise<FisherRatio> {
  const { rows, width, classes } = sample;
  const share = shareOf(communicator, rows);
  const labels = sample.labels.subarray(share.start, share.end);
  const { dims, points } = await centredPoints(sample, share, communicator);
  const offsets = new Float64Array(classes * dims);
  points.forEach((value, at) => {
    const k = labels[Math.floor(at / dims)];
    offsets[k * dims + (at % dims)] += value / counts[k];
  });
  await communicator.allReduceSum(offsets);
  const residuals = points.map((value, at) => value - offsets[labels[Math.floor(at / dims)] * dims + (at % dims)]);
  const within = hostMatMul(residuals, residuals, { m: dims, k: labels.length, n: dims, transposeA: true });
  await communicator.allReduceSum(within);
  for (let at = 0; at < within.length; at++) within[at] /= rows;
  const fourths = await sumOf(communicator, fourthPowers(residuals, dims));
  const shrunk = ledoitWolf(within, fourths, { rows, dims, width });
  const ratio = await byFirst(communicator, () => ratioOf(sample, { dims, counts, offsets, within, shrunk }));
  return { ratio, shrinkage: shrunk.shrinkage };
}

interface Dispersion {
  dims: number;
  counts: Int32Array;
  /** Of the classes' centres from the mean, [classes, dims]. */
  offsets: Float64Array;
  /** S_w, [dims, dims]. */
  within: Float64Array;
  shrunk: Shrunk;
}

function ratioOf({ rows, classes }: LabelledSample, { dims, counts, offsets, within, shrunk }: Dispersion): number {
  const { shrinkage, scale } = shrunk;
  const { values, vectors } = eigh(within, dims);
  // Each centre's squared length in the metric of the shrunk S_w, whose eigenvectors shrinking leaves alone.
  const along = hostMatMul(offsets, vectors, { m: classes, k: dims, n: dims });
  let ratio = 0;
  for (let k = 0; k < classes; k++)
    for (let j = 0; j < dims; j++)
      ratio +=
        ((counts[k] / rows) * along[k * dims + j] ** 2) /
        ((1 - shrinkage) * Math.max(0, values[j]) + shrinkage * scale);
  return ratio;
}

/**
 * The rows of a share about the mean of all, [rows of the share, dims]; fewer rows than columns along the axes that they
 * span, which turns them and leaves everything between them as it is.
 */
async function centredPoints(
  sample: LabelledSample,
  share: Share,
  communicator: Communicator,
): Promise<{ dims: number; points: Float64Array }> {
  const { rows, width } = sample;
  const mean = columnMeans(sample);
  const own = rowsOf(sample, share);
  if (rows >= width)
    return { dims: width, points: Float64Array.from(own.data, (value, at) => value - mean[at % width]) };
  const products = await gathered(communicator, await rowProducts(own, sample, mean));
  // The smallest axis is the mean's, which is taken out.
  const dims = rows - 1;
  const points = communicator.rank === 0 ? spannedPoints(products, rows) : new Float64Array(rows * dims);
  await communicator.broadcast(points);
  return { dims, points: points.subarray(share.start * dims, share.end * dims) };
}

/** Points [rows, rows − 1] with these inner products [rows, rows], whose smallest eigenvalue is none. */
function spannedPoints(products: Float64Array, rows: number): Float64Array {
  const dims = rows - 1;
  const { values, vectors } = eigh(products, rows);
  const points = new Float64Array(rows * dims);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < dims; j++)
      points[i * dims + j] = vectors[i * rows + j + 1] * Math.sqrt(Math.max(0, values[j + 1]));
  return points;
}

/** Σ ‖residual‖⁴. */
function fourthPowers(residuals: Float64Array, dims: number): number {
  let fourths = 0;
  for (let first = 0; first < residuals.length; first += dims) {
    let norm = 0;
    for (let at = first; at < first + dims; at++) norm += residuals[at] ** 2;
    fourths += norm * norm;
  }
  return fourths;
}

interface Shrunk {
  /** The intensity. */
  shrinkage: number;
  /** The mean variance over all of `width`, which is the target's diagonal. */
  scale: number;
}

function ledoitWolf(
  covariance: Float64Array,
  fourths: number,
  { rows, dims, width }: { rows: number; dims: number; width: number },
): Shrunk {
  let trace = 0;
  for (let j = 0; j < dims; j++) trace += covariance[j * dims + j];
  const scale = trace / width;
  const squares = covariance.reduce((sum, value) => sum + value * value, 0);
  // ‖S − scale·I‖² and the estimate of E‖S − Σ‖², both per dimension.
  const distance = (squares - 2 * scale * trace + width * scale * scale) / width;
  const noise = Math.min(distance, (fourths / rows - squares) / (rows * width));
  return { shrinkage: distance > 0 ? noise / distance : 0, scale };
}
