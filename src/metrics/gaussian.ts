import { UserError } from '../base/index.js';
import { hostMatMul } from '../engine/index.js';
import type { FeatureRows } from './rows.js';

/** Count, mean and scatter of rows: all that a Fréchet distance needs, whatever the number of rows. */
export interface Gaussian {
  count: number;
  /** [width] */
  mean: Float64Array;
  /** Σ (x − mean)(x − mean)ᵀ, [width, width]. */
  scatter: Float64Array;
}

export const emptyGaussian = (width: number): Gaussian => ({
  count: 0,
  mean: new Float64Array(width),
  scatter: new Float64Array(width * width),
});

/** Rows per matrix product: enough to run at full speed, 2,048 columns of them are 16 MB. */
const BLOCK = 1024;

/**
 * Adds rows in float64. Each block is centred on its own mean before its scatter is taken and the two are then put
 * together exactly, so nothing cancels however far the features lie from zero. `weights`: how often each row counts.
 */
export function addToGaussian(gaussian: Gaussian, { rows, data }: FeatureRows, weights?: ArrayLike<number>): void {
  for (let start = 0; start < rows; start += BLOCK)
    absorb(gaussian, blockOf(data, gaussian.mean.length, start, Math.min(rows, start + BLOCK), weights));
}

function blockOf(
  data: Float32Array,
  width: number,
  start: number,
  end: number,
  weights: ArrayLike<number> | undefined,
): Gaussian {
  const rows = end - start;
  const weight = (row: number): number => (weights ? weights[start + row] : 1);
  const mean = new Float64Array(width);
  let count = 0;
  for (let row = 0; row < rows; row++) {
    const w = weight(row);
    count += w;
    const at = (start + row) * width;
    for (let i = 0; i < width; i++) mean[i] += w * data[at + i];
  }
  if (count === 0) return { count, mean, scatter: new Float64Array(width * width) };
  for (let i = 0; i < width; i++) mean[i] /= count;
  const centred = new Float64Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const root = Math.sqrt(weight(row));
    const at = (start + row) * width;
    for (let i = 0; i < width; i++) centred[row * width + i] = root * (data[at + i] - mean[i]);
  }
  return { count, mean, scatter: hostMatMul(centred, centred, { m: width, k: rows, n: width, transposeA: true }) };
}

/** Adds what another part of the data gave, in place (Chan, Golub & LeVeque 1979). */
export function absorb(into: Gaussian, part: Gaussian): void {
  const count = into.count + part.count;
  if (part.count === 0) return;
  const width = into.mean.length;
  const shift = part.mean.map((value, i) => value - into.mean[i]);
  const share = (into.count * part.count) / count;
  for (let i = 0; i < width; i++) {
    const scaled = share * shift[i];
    const row = i * width;
    for (let j = 0; j < width; j++) into.scatter[row + j] += part.scatter[row + j] + scaled * shift[j];
  }
  for (let i = 0; i < width; i++) into.mean[i] += (shift[i] * part.count) / count;
  into.count = count;
}

/** Rows that come a few at a time, gathered into blocks worth a matrix product. */
export interface GaussianBuilder {
  add(rows: FeatureRows): void;
  /** Everything that was added so far. */
  result(): Gaussian;
}

/** A builder for rows of `width` features; sums are kept in double precision. */
export function gaussianBuilder(width: number): GaussianBuilder {
  const gaussian = emptyGaussian(width);
  const waiting = new Float32Array(BLOCK * width);
  let filled = 0;
  const flush = (): void => {
    addToGaussian(gaussian, { rows: filled, width, data: waiting });
    filled = 0;
  };
  return {
    add: ({ rows, data }) => {
      for (let start = 0; start < rows;) {
        const taken = Math.min(rows - start, BLOCK - filled);
        waiting.set(data.subarray(start * width, (start + taken) * width), filled * width);
        filled += taken;
        start += taken;
        if (filled === BLOCK) flush();
      }
    },
    result: () => {
      flush();
      return gaussian;
    },
  };
}

/** A mean and a covariance, measured or read from a file. */
export interface FeatureMoments {
  mean: Float64Array;
  /** [width, width] */
  covariance: Float64Array;
}

/** The unbiased covariance. @throws UserError for fewer than two rows or rows that are not finite. */
export function momentsOf({ count, mean, scatter }: Gaussian): FeatureMoments {
  if (count < 2) throw new UserError(`a Fréchet distance needs at least 2 images, ${count} were given`);
  if (!mean.every(Number.isFinite)) throw new UserError('the features hold NaN or infinity; check the extractor');
  return { mean, covariance: scatter.map(value => value / (count - 1)) };
}
