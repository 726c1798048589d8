import { EXIT } from '../base/index.js';
import { alone, shareOf, type Communicator } from '../distributed/index.js';
import type { RowSource } from '../rows/index.js';
import { ADDRESSABLE, startThreads } from '../simd/index.js';
import { engineIsNative, engineSums, type CentredSums } from './engine-moments.js';
import { RowsError } from './errors.js';
import { PANEL, piecesOf, planScatter, scatterModule, type GramPrecision, type ScatterLayout } from './kernel.js';

/** First and second moments of rows. */
export interface Moments {
  rows: number;
  /** [width] */
  mean: Float64Array;
  /** Σ (x − mean)(x − mean)ᵀ, [width, width], both triangles. */
  scatter: Float64Array;
  /** What the products were summed in. */
  precision: GramPrecision;
}

export interface MomentsOptions {
  threads: number;
  /** Default: double precision unless many rows are so wide that it takes minutes. */
  precision?: GramPrecision | undefined;
  /** Called with the rows seen so far. */
  onRows?: ((rows: number) => void) | undefined;
  signal?: AbortSignal | undefined;
  /** Ranks that divide the products among them; each reads all rows. */
  communicator?: Communicator | undefined;
}

const BLOCK_BYTES = 32 << 20;
/** Numbers per row whose products 32-bit addresses reach. */
const WIDEST = 16_384;
/** Beyond both, products are in single precision, of centred rows: good to about 1e-7 of the largest eigenvalue. */
const WIDE = 1536;
const PRODUCTS = 2 ** 35;

/**
 * Streams once over the rows. They are taken in panels of their own, in their order, so that chunks, shards and threads
 * make no difference at all. Nor do ranks: each computes the products of some of the columns, of all rows, since reading
 * takes little time beside multiplying and so nothing is summed in another order. @throws RowsError where numbers are not finite, counted and located, or too many per row.
 */
export async function rowMoments(source: RowSource, options: MomentsOptions): Promise<Moments> {
  const precision = options.precision ?? defaultPrecision(source);
  const byEngine = precision === 'float32' && engineIsNative();
  return await finish(
    source,
    precision,
    byEngine ? await engineSums(source, options) : await threadSums(source, precision, options),
  );
}

const defaultPrecision = ({ rows, width }: RowSource): GramPrecision =>
  width > WIDE && rows * width ** 2 > PRODUCTS ? 'float32' : 'float64';

async function threadSums(source: RowSource, precision: GramPrecision, options: MomentsOptions): Promise<CentredSums> {
  const { width } = source;
  const { communicator = alone } = options;
  const block = Math.max(1, Math.floor(BLOCK_BYTES / (PANEL * width * 4)));
  const panels = Math.min(block, Math.ceil(source.rows / PANEL));
  const layout = planScatter(width, panels, precision);
  if (layout.bytes > ADDRESSABLE)
    throw new RowsError(
      `${source.name}: ${width} numbers per row are more than the ${WIDEST.toLocaleString('en')} that PCA takes`,
      { kind: 'too-wide', width, most: WIDEST },
      EXIT.usage,
    );
  const threads = await startThreads(scatterModule(layout), layout.pages, options.threads);
  const { buffer } = threads.memory;
  const counter = new Int32Array(buffer, layout.next, 1);
  const run = async (name: string, ...parameters: number[]): Promise<void> => {
    counter[0] = 0;
    await threads.run(name, ...parameters);
  };
  try {
    const { start, end } = shareOf(communicator, piecesOf(layout));
    let seen = 0;
    for await (const rows of blocks(source, layout, new Float32Array(buffer))) {
      options.signal?.throwIfAborted();
      if (seen === 0) centreOn(new Float32Array(buffer, layout.rows), rows, width, layout, buffer);
      await run('pack', rows);
      await run('multiply', rows, start, end);
      seen += rows;
      options.onRows?.(seen);
    }
    const products = new Float64Array(width * width);
    const padded = new Float64Array(buffer, layout.scatter, layout.width ** 2);
    for (let i = 0; i < width; i++)
      products.set(padded.subarray(i * layout.width, i * layout.width + i + 1), i * width);
    await communicator.allReduceSum(products);
    const [centre, sums] = [layout.centre, layout.sums].map(at => new Float64Array(buffer, at, width).slice());
    return { rows: seen, centre, sums, products };
  } finally {
    await threads.close();
  }
}

/** Fills the memory with one block of rows after the other; their number. */
async function* blocks(source: RowSource, layout: ScatterLayout, f32: Float32Array): AsyncGenerator<number> {
  const capacity = layout.panels * PANEL;
  let filled = 0;
  for await (const { rows, data } of source.chunks()) {
    for (let i = 0; i < rows; i++) {
      f32.set(data.subarray(i * source.width, (i + 1) * source.width), layout.rows / 4 + filled * layout.width);
      if (++filled < capacity) continue;
      yield filled;
      filled = 0;
    }
  }
  if (filled > 0) yield filled;
}

/** The first rows' mean is taken from every row before products are formed, so that these do not cancel. */
function centreOn(
  rows: Float32Array,
  count: number,
  dims: number,
  { width, centre }: ScatterLayout,
  buffer: SharedArrayBuffer,
): void {
  const mean = new Float64Array(buffer, centre, width);
  const used = Math.min(count, PANEL);
  for (let i = 0; i < used; i++) for (let j = 0; j < dims; j++) mean[j] += rows[i * width + j] / used;
  // In single precision too the same number must be taken from every row.
  for (let j = 0; j < dims; j++) mean[j] = Number.isFinite(mean[j]) ? Math.fround(mean[j]) : 0;
}

/** From about the centre to about the mean, in place. */
async function finish(
  source: RowSource,
  precision: GramPrecision,
  { rows, centre, sums, products: scatter }: CentredSums,
): Promise<Moments> {
  const { width } = source;
  const rest = sums.map(sum => sum / rows);
  if (!rest.every(Number.isFinite)) throw await notFinite(source);
  for (let i = 0; i < width; i++)
    for (let j = 0; j <= i; j++) {
      const value = scatter[i * width + j] - rows * rest[i] * rest[j];
      scatter[i * width + j] = scatter[j * width + i] = value;
    }
  return { rows, mean: rest.map((value, j) => value + centre[j]), scatter, precision };
}

/** Which rows hold NaN or infinity: their numbers, ascending. Reads all rows. */
export async function nonFiniteRows(source: RowSource): Promise<Int32Array> {
  const found: number[] = [];
  for await (const { start, rows, data } of source.chunks())
    for (let i = 0; i < rows; i++) {
      let sum = 0;
      for (let j = i * source.width; j < (i + 1) * source.width; j++) sum += data[j] - data[j];
      // x − x is NaN for exactly those.
      if (sum !== 0) found.push(start + i);
    }
  return Int32Array.from(found);
}

/** The error for rows of which some are not finite. */
export async function notFinite(source: RowSource): Promise<RowsError> {
  const rows = await nonFiniteRows(source);
  const few = Array.from(rows.subarray(0, 5)).join(', ');
  return new RowsError(
    `${source.name}: ${rows.length} of ${source.rows} rows hold NaN or infinity (first: ${few}${rows.length > 5 ? ', …' : ''})`,
    { kind: 'not-finite', rows },
    EXIT.usage,
  );
}
