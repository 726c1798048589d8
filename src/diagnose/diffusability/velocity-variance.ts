import { alone, gatherParts, shareOf, type Communicator } from '../../distributed/index.js';
import { selectedRows } from '../../rows/index.js';
import { kroneckerSpectra, type CentredRows } from './kronecker.js';
import { inverse, type ChannelScale, type LatentRows } from './pass.js';

/** What of a velocity no network can know from a noisy latent and its class, averaged over times and dimensions. */
export interface VelocityVariance {
  /** VIV as published: over as many eigenvalues as the rows of a class can tell. */
  published: number;
  /** Over all dimensions: those that the rows cannot tell count as still. */
  fair: number;
  /** Share of the variance that is within classes. */
  withinShare: number;
  /** Rows of each class that was used. */
  rows: number[];
  /** Classes with too few rows. */
  leftOut: number;
}

export interface VelocityVarianceOptions {
  /** Rows that a class needs; published: 4. */
  leastRows?: number;
  /** Published: 5. */
  alternations?: number;
  /** Bytes of rows held at once; more of them take more passes. */
  memory?: number;
  onClass?: (done: number) => void;
  /** Ranks that take some of the classes each. */
  communicator?: Communicator | undefined;
}

/**
 * VIV (2606.03578), the mean over classes of (π/2) · mean √λ: on the straight path from noise to a Gaussian with
 * covariance eigenvalues λ, Var(v | x_t) = Σ λ / ((1 − t)² + t² λ), whose integral over t is (π/2) Σ √λ. A class's
 * covariance is a product of positions' and channels', scaled to the class's total variance (biased).
 */
export async function velocityVariance(
  latents: LatentRows,
  scale: ChannelScale,
  labels: ArrayLike<number>,
  { leastRows = 4, alternations = 5, memory = 2 ** 30, onClass, communicator = alone }: VelocityVarianceOptions = {},
): Promise<VelocityVariance> {
  const all = rowsByClass(labels);
  const used = all.filter(rows => rows.length >= leastRows);
  const { start, end } = shareOf(communicator, used.length);
  const found: ReturnType<typeof ofClass>[] = [];
  for (const group of inMemory(used.slice(start, end), memory / (4 * latents.rows.width)))
    for await (const rows of classesOf(latents, scale, group)) {
      found.push(ofClass(rows, alternations));
      onClass?.(found.length);
    }
  const sums = { published: 0, fair: 0, withinShare: 0 };
  for (const own of (await gatherParts(communicator, found)).flat()) {
    sums.published += own.published / used.length;
    sums.fair += own.fair / used.length;
    sums.withinShare += own.withinShare / used.length;
  }
  return { ...sums, rows: used.map(({ length }) => length), leftOut: all.length - used.length };
}

/** Row numbers of each class that has any. */
function rowsByClass(labels: ArrayLike<number>): number[][] {
  const rows = new Map<number, number[]>();
  for (let row = 0; row < labels.length; row++) {
    const own = rows.get(labels[row]);
    if (own) own.push(row);
    else rows.set(labels[row], [row]);
  }
  return [...rows.values()];
}

/** Classes in groups of at most `most` rows, but for a class that alone has more. */
function inMemory(classes: number[][], most: number): number[][][] {
  const groups: number[][][] = [];
  let room = 0;
  for (const rows of classes) {
    if (rows.length > room) {
      groups.push([]);
      room = most;
    }
    groups[groups.length - 1].push(rows);
    room -= rows.length;
  }
  return groups;
}

/** The standardised, centred rows of some classes, one class after the other, read in one pass. */
async function* classesOf(
  { rows: source, tokens, channels }: LatentRows,
  scale: ChannelScale,
  classes: number[][],
): AsyncGenerator<CentredRows> {
  const { width } = source;
  const indices = Int32Array.from(classes.flat()).sort();
  const place = new Map(Array.from(indices, (row, at) => [row, at]));
  const data = new Float32Array(indices.length * width);
  for await (const chunk of selectedRows(source, indices).chunks())
    data.set(chunk.data.subarray(0, chunk.rows * width), chunk.start * width);
  const factors = Float64Array.from(scale.std, inverse);
  for (const rows of classes) {
    const own = rows.map(row => data.subarray(place.get(row)! * width, (place.get(row)! + 1) * width));
    yield { n: rows.length, t: tokens, c: channels, data: centred(own, channels, factors) };
  }
}

/** Rows about their mean, each channel divided by its deviation, by position: [t, n, c]. */
function centred(rows: Float32Array[], channels: number, factors: Float64Array): Float64Array {
  const n = rows.length;
  const width = rows[0].length;
  const out = new Float64Array(n * width);
  for (let j = 0; j < width; j++) {
    let mean = 0;
    for (const row of rows) mean += row[j] / n;
    const [t, c] = [Math.floor(j / channels), j % channels];
    for (let i = 0; i < n; i++) out[(t * n + i) * channels + c] = (rows[i][j] - mean) * factors[c];
  }
  return out;
}

function ofClass(rows: CentredRows, alternations: number) {
  const { n, t, c, data } = rows;
  const total = data.reduce((sum, value) => sum + value * value, 0) / n;
  const { channels, positions } = kroneckerSpectra(rows, alternations);
  // Eigenvalues of the product are all products of the two: their sum, and that of their roots, are products too.
  const sum = (values: Float64Array): number => values.reduce((a, b) => a + b, 0);
  const scale = total / (sum(channels) * sum(positions) || 1);
  const roots = Math.sqrt(scale) * sum(channels.map(Math.sqrt)) * sum(positions.map(Math.sqrt));
  const integral = (Math.PI / 2) * roots;
  return {
    published: integral / (channels.length * positions.length),
    fair: integral / (t * c),
    withinShare: total / (t * c),
  };
}
