import { tf } from '../engine/index.js';
import { alone, shareOf, type Communicator } from '../distributed/index.js';
import type { RowSource } from '../rows/index.js';
import { rounded, type Centre } from './centre.js';

/** Rows whose products the engine sums in single precision before they join the double-precision sums, which takes time. */
const PANEL = 8192;
/** Numbers of a panel at most. */
const PANEL_NUMBERS = 1 << 25;
/** Columns whose products are asked for at a time: only what lies on and left of the diagonal is computed. */
const STRIP = 512;

/** Sums of rows about a centre near their mean. */
export interface CentredSums {
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

/** One pass over the rank's rows, in panels of their own, so that their chunks make no difference. */
export async function engineSums(
  source: RowSource,
  about: Centre,
  { onRows, signal, communicator = alone }: EngineOptions,
): Promise<CentredSums> {
  const { rows: all, width } = source;
  const most = Math.max(1024, Math.floor(PANEL_NUMBERS / width));
  const panel = emptyPanel(Math.min(PANEL, most, all), about.centre);
  const share = shareOf(communicator, all, panel.rows);
  const products = new Float64Array(width * width);
  const sums = new Float64Array(width);
  let filled = 0;
  let seen = 0;
  const flush = (): void => {
    signal?.throwIfAborted();
    addSums(panel, sums, about);
    addProducts(panel, filled, products, about);
    seen += filled;
    filled = 0;
    onRows?.(Math.min(all, seen * communicator.size));
  };
  for await (const { rows, data } of source.chunks(share))
    for (let row = 0; row < rows;) {
      const count = Math.min(rows - row, panel.rows - filled);
      for (const strip of panel.strips) takeUp(data.subarray(row * width), width, strip, filled, count);
      row += count;
      filled += count;
      if (filled === panel.rows) flush();
    }
  if (filled > 0) flush();
  return { sums, products };
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
  /** Of the panel's rows. */
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

/** Adds the panel's sums, rounded, and sets them to zero. */
function addSums({ strips }: Panel, sums: Float64Array, { sumLimits }: Centre): void {
  for (const { first, sums: own } of strips) {
    own.forEach((sum, j) => (sums[first + j] += rounded(sum, sumLimits[first + j])));
    own.fill(0);
  }
}

/** Strip by strip; of two strips' products those on and left of the diagonal, rounded. */
function addProducts({ strips }: Panel, rows: number, products: Float64Array, { limits }: Centre): void {
  const width = limits.length;
  const tensors = strips.map(({ columns, values }) => tf.tensor2d(values.subarray(0, rows * columns), [rows, columns]));
  strips.forEach((own, i) => {
    for (let j = 0; j <= i; j++) {
      const other = strips[j];
      const product = tf.matMul(tensors[i], tensors[j], true, false);
      const values = product.dataSync();
      product.dispose();
      for (let row = 0; row < own.columns; row++) {
        const to = (own.first + row) * width + other.first;
        const from = row * other.columns;
        const count = i === j ? row + 1 : other.columns;
        const limit = limits[own.first + row];
        for (let column = 0; column < count; column++)
          products[to + column] += rounded(values[from + column], limit * limits[other.first + column]);
      }
    }
  });
  tf.dispose(tensors);
}
