import { tf } from '../engine/index.js';
import { alone, type Communicator } from '../distributed/index.js';
import type { RowSource } from '../rows/index.js';
/** Rows whose products the engine sums in single precision before they join the double-precision sums, which takes time. */
const PANEL = 8192;
/** Numbers of a panel at most. */
const PANEL_NUMBERS = 1 << 25;
/** Columns whose products are asked for at a time: only what lies on and left of the diagonal is computed. */
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

interface EngineOptions {
  onRows?: ((rows: number) => void) | undefined;
  signal?: AbortSignal | undefined;
  communicator?: Communicator | undefined;
}

/** One pass over the rows in panels of their own, so that their chunks make no difference; ranks divide the strips among them. */
export async function engineSums(
  source: RowSource,
  { onRows, signal, communicator = alone }: EngineOptions,
): Promise<CentredSums> {
  const { width } = source;
  const centre = await firstRowsMean(source);
  const products = new Float64Array(width * width);
  const most = Math.max(1024, Math.floor(PANEL_NUMBERS / width));
  const panel = emptyPanel(Math.min(PANEL, most, source.rows), centre);
  let filled = 0;
  let seen = 0;
  const flush = (): void => {
    signal?.throwIfAborted();
    addProducts(panel, filled, products, width, communicator);
    seen += filled;
    filled = 0;
    onRows?.(seen);
  };
  for await (const { rows, data } of source.chunks())
    for (let row = 0; row < rows;) {
      const count = Math.min(rows - row, panel.rows - filled);
      for (const strip of panel.strips) takeUp(data.subarray(row * width), width, strip, filled, count);
      row += count;
      filled += count;
      if (filled === panel.rows) flush();
    }
  if (filled > 0) flush();
  await communicator.allReduceSum(products);
  const sums = Float64Array.from(panel.strips.flatMap(strip => Array.from(strip.sums)));
  return { rows: seen, centre, sums, products };
}

/** Rows cut into strips of columns, each of them whole in memory: the engine would copy what it is to take a part of. */
interface Panel {
  rows: number;
  strips: Strip[];
}

interface Strip {
  first: number;
  columns: number;
  /** Of these columns alone. */
  centre: Float64Array;
  sums: Float64Array;
  /** Centred, [rows, columns]. */
  values: Float32Array;
}

function emptyPanel(rows: number, centre: Float64Array): Panel {
  const strips: Strip[] = [];
  for (let first = 0; first < centre.length; first += STRIP) {
    const own = centre.slice(first, first + STRIP);
    const columns = own.length;
    const values = new Float32Array(rows * columns);
    strips.push({ first, columns, centre: own, sums: new Float64Array(columns), values });
  }
  return { rows, strips };
}

/** Some rows' part of a strip. */
function takeUp(
  rows: Float32Array,
  width: number,
  { first, columns, centre, sums, values }: Strip,
  filled: number,
  count: number,
): void {
  for (let i = 0; i < count; i++) {
    const from = i * width + first;
    const to = (filled + i) * columns;
    for (let j = 0; j < columns; j++) {
      const x = rows[from + j] - centre[j];
      sums[j] += x;
      values[to + j] = x;
    }
  }
}

/** Near the mean is enough: what is taken from every row keeps the products from cancelling. */
async function firstRowsMean(source: RowSource): Promise<Float64Array> {
  const mean = new Float64Array(source.width);
  const used = Math.min(source.rows, 256);
  for await (const { rows, data } of source.chunks({ end: used }))
    for (let i = 0; i < rows * source.width; i++) mean[i % source.width] += data[i] / used;
  return mean.map(value => (Number.isFinite(value) ? Math.fround(value) : 0));
}

/** Strip by strip, the rank's in turn; of two strips' products those on and left of the diagonal. */
function addProducts(
  { strips }: Panel,
  rows: number,
  products: Float64Array,
  width: number,
  { rank, size }: Communicator,
): void {
  const tensors = strips.map(({ columns, values }) => tf.tensor2d(values.subarray(0, rows * columns), [rows, columns]));
  let pair = 0;
  strips.forEach((own, i) => {
    for (let j = 0; j <= i; j++) {
      if (pair++ % size !== rank) continue;
      const other = strips[j];
      const product = tf.matMul(tensors[i], tensors[j], true, false);
      const values = product.dataSync();
      product.dispose();
      for (let row = 0; row < own.columns; row++) {
        const to = (own.first + row) * width + other.first;
        const from = row * other.columns;
        const count = i === j ? row + 1 : other.columns;
        for (let column = 0; column < count; column++) products[to + column] += values[from + column];
      }
    }
  });
  tf.dispose(tensors);
}
