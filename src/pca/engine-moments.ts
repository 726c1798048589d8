import { tf, type Tensor2D } from '../engine/index.js';
import type { RowSource } from '../io/index.js';

/** Rows whose products the engine sums in single precision before they join the double-precision sums. */
const PANEL = 2048;
/** Rows of the result that are asked for at a time: only what lies on and left of the diagonal is computed. */
const STRIP = 512;

/** Sums of rows about a centre near their mean. */
export interface CentredSums {
  rows: number;
  /** [width]: single-precision numbers. */
  centre: Float64Array;
  /** Σ (x − centre), [width] */
  sums: Float64Array;
  /** Σ (x − centre)(x − centre)ᵀ, [width, width]; on and below the diagonal. */
  products: Float64Array;
}

/** Native engines multiply wider vectors than WebAssembly has: twice as fast for rows of thousands of numbers. */
export const engineIsNative = (): boolean => tf.getBackend() === 'tensorflow';

/** One pass over the rows in panels of their own, so that their chunks make no difference. */
export async function engineSums(
  source: RowSource,
  { onRows, signal }: { onRows?: ((rows: number) => void) | undefined; signal?: AbortSignal | undefined },
): Promise<CentredSums> {
  const { width } = source;
  const centre = await firstRowsMean(source);
  const sums = new Float64Array(width);
  const products = new Float64Array(width * width);
  const panel = new Float32Array(Math.min(PANEL, source.rows) * width);
  let filled = 0;
  let seen = 0;
  const flush = (): void => {
    signal?.throwIfAborted();
    addProducts(panel.subarray(0, filled), width, products);
    seen += filled / width;
    filled = 0;
    onRows?.(seen);
  };
  for await (const { rows, data } of source.chunks())
    for (let from = 0; from < rows * width; from += width) {
      for (let j = 0; j < width; j++) {
        const x = data[from + j] - centre[j];
        sums[j] += x;
        panel[filled + j] = x;
      }
      filled += width;
      if (filled === panel.length) flush();
    }
  if (filled > 0) flush();
  return { rows: seen, centre, sums, products };
}

/** Near the mean is enough: what is taken from every row keeps the products from cancelling. */
async function firstRowsMean(source: RowSource): Promise<Float64Array> {
  const mean = new Float64Array(source.width);
  const used = Math.min(source.rows, 256);
  for await (const { rows, data } of source.chunks({ end: used }))
    for (let i = 0; i < rows * source.width; i++) mean[i % source.width] += data[i] / used;
  return mean.map(value => (Number.isFinite(value) ? Math.fround(value) : 0));
}

function addProducts(panel: Float32Array, width: number, products: Float64Array): void {
  const rows = tf.tensor2d(panel, [panel.length / width, width]);
  for (let first = 0; first < width; first += STRIP) {
    const last = Math.min(width, first + STRIP);
    const strip = tf.tidy(() => {
      const left: Tensor2D = rows.slice([0, 0], [-1, last]);
      const own: Tensor2D = rows.slice([0, first], [-1, last - first]);
      return tf.matMul(own, left, true, false);
    });
    const values = strip.dataSync();
    strip.dispose();
    for (let i = first; i < last; i++) {
      const from = (i - first) * last;
      for (let j = 0; j <= i; j++) products[i * width + j] += values[from + j];
    }
  }
  rows.dispose();
}
