import type { RowSource } from '../rows/index.js';

/**
 * What rows are summed about, and what sums of some of them are rounded by so that they can be added in any order, also by
 * several ranks: see `rounded`.
 */
export interface Centre {
  /** [width]: single-precision numbers near the mean, so that products do not cancel. */
  centre: Float64Array;
  /** Of Σ (x − centre), [width]. */
  sumLimits: Float64Array;
  /** [width]: of Σ (x − centre)ᵢ (x − centre)ⱼ the product of the i-th and the j-th. */
  limits: Float64Array;
}

const FIRST = 256;
/** Rows whose variance is looked at are read in stretches from all over. */
const STRETCHES = 16;
const STRETCH = 64;
/**
 * By how much all rows together may vary more than those and still be summed exactly. Sums are kept to 2⁻⁴⁵ of what is expected of
 * them. Beyond it, or where those rows did not vary at all, sums are as good, but their last bits depend on their order.
 */
const MARGIN = 2 ** 8;

export async function centreOf(source: RowSource): Promise<Centre> {
  const { rows, width } = source;
  const centre = await firstRowsMean(source);
  const variance = new Float64Array(width);
  let seen = 0;
  for await (const part of stretches(source)) {
    seen += part.length / width;
    for (let at = 0; at < part.length; at++) variance[at % width] += (part[at] - centre[at % width]) ** 2;
  }
  const limits = variance.map(sum => Math.sqrt((sum / seen) * rows * MARGIN));
  return { centre, limits, sumLimits: limits.map(limit => limit * Math.sqrt(rows * MARGIN)) };
}

/** Near the mean is enough. */
async function firstRowsMean(source: RowSource): Promise<Float64Array> {
  const mean = new Float64Array(source.width);
  const used = Math.min(source.rows, FIRST);
  for await (const { rows, data } of source.chunks({ end: used }))
    for (let i = 0; i < rows * source.width; i++) mean[i % source.width] += data[i] / used;
  return mean.map(value => (Number.isFinite(value) ? Math.fround(value) : 0));
}

async function* stretches(source: RowSource): AsyncGenerator<Float32Array> {
  const { rows, width } = source;
  for (let i = 0; i < STRETCHES; i++) {
    const start = Math.floor((i * rows) / STRETCHES);
    const end = Math.min(start + STRETCH, Math.floor(((i + 1) * rows) / STRETCHES));
    if (end > start)
      for await (const chunk of source.chunks({ start, end })) yield chunk.data.subarray(0, chunk.rows * width);
  }
}

/** (sum + limit) − limit: a multiple of about 2⁻⁵³ of the limit. Multiples that sum to less than it do so without rounding. */
export const rounded = (sum: number, limit: number): number => sum + limit - limit;
