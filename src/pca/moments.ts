import { EXIT } from '../base/index.js';
import { alone, shareOf, sumTogether, type Communicator, type Share } from '../distributed/index.js';
import type { ScatterSums } from '../engine/index.js';
import type { RowSource } from '../rows/index.js';
import { ADDRESSABLE, startThreads } from '../simd/index.js';
import { centreOf, type Centre } from './centre.js';
import { ENGINE_PANEL, engineIsNative, engineSums } from './engine-moments.js';
import { RowsError } from './errors.js';
import { PANEL, planScatter, scatterModule, type GramPrecision, type ScatterLayout } from './kernel.js';

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
  /** Called with the rows seen so far, by all ranks if they are as far as this one. */
  onRows?: ((rows: number) => void) | undefined;
  signal?: AbortSignal | undefined;
  /** Ranks that divide the rows among them. */
  communicator?: Communicator | undefined;
}

/** Ranks have whole panels of whichever kind, so that they agree on their shares whatever engine each of them has. */
const SHARED = ENGINE_PANEL;
const BLOCK_BYTES = 32 << 20;
/** Numbers per row whose products 32-bit addresses reach. */
const WIDEST = 16_384;
/** Beyond both, products are in single precision, of centred rows: good to about 1e-7 of the largest eigenvalue. */
const WIDE = 1536;
const PRODUCTS = 2 ** 35;
/** Products below which one thread is done before a second has started. */
const WORTH_A_THREAD = 2 ** 27;

/**
 * Streams once over the rows, of which each rank takes a share. They are summed in panels of their own, whose sums are
 * rounded so that their order does not matter: chunks, shards, threads and ranks make no difference at all.
 * @throws RowsError where numbers are not finite, counted and located, or too many per row.
 */
export async function rowMoments(source: RowSource, options: MomentsOptions): Promise<Moments> {
  const { communicator = alone } = options;
  const precision = options.precision ?? defaultPrecision(source);
  const byEngine = precision === 'float32' && engineIsNative();
  const about = await centreOf(source);
  const share = shareOf(communicator, source.rows, SHARED);
  const sums = byEngine
    ? await engineSums(source, share, about, options)
    : await threadSums(source, share, about, precision, options);
  await sumTogether(communicator, [sums.sums, ...lowerRows(sums.products, source.width)]);
  return await finish(source, precision, about.centre, sums);
}

/** On and left of the diagonal. */
const lowerRows = (matrix: Float64Array, width: number): Float64Array[] =>
  Array.from({ length: width }, (_, i) => matrix.subarray(i * width, i * width + i + 1));

const defaultPrecision = ({ rows, width }: RowSource): GramPrecision =>
  width > WIDE && rows * width ** 2 > PRODUCTS ? 'float32' : 'float64';

async function threadSums(
  source: RowSource,
  share: Share,
  about: Centre,
  precision: GramPrecision,
  { threads: most, communicator = alone, signal, onRows }: MomentsOptions,
): Promise<ScatterSums> {
  const { width } = source;
  const count = source.rows * width ** 2 < WORTH_A_THREAD ? 1 : most;
  const block = Math.max(1, Math.floor(BLOCK_BYTES / (PANEL * width * 4)));
  const panels = Math.max(1, Math.min(block, Math.ceil((share.end - share.start) / PANEL)));
  const layout = planScatter(width, panels, precision);
  if (layout.bytes > ADDRESSABLE)
    throw new RowsError(
      `${source.name}: ${width} numbers per row are more than the ${WIDEST.toLocaleString('en')} that PCA takes`,
      { kind: 'too-wide', width, most: WIDEST },
      EXIT.usage,
    );
  const threads = await startThreads(scatterModule(layout), layout.pages, count);
  const { buffer } = threads.memory;
  const counter = new Int32Array(buffer, layout.next, 1);
  const run = async (name: string, rows: number): Promise<void> => {
    counter[0] = 0;
    await threads.run(name, rows);
  };
  try {
    for (const name of ['centre', 'sumLimits', 'limits'] as const)
      new Float64Array(buffer, layout[name], width).set(about[name]);
    let seen = 0;
    for await (const rows of blocks(source, share, layout, new Float32Array(buffer))) {
      signal?.throwIfAborted();
      await run('pack', rows);
      await run('multiply', rows);
      seen += rows;
      onRows?.(Math.min(source.rows, seen * communicator.size));
    }
    const products = new Float64Array(width * width);
    const padded = new Float64Array(buffer, layout.scatter, layout.width ** 2);
    for (let i = 0; i < width; i++)
      products.set(padded.subarray(i * layout.width, i * layout.width + i + 1), i * width);
    return { sums: new Float64Array(buffer, layout.sums, width).slice(), products };
  } finally {
    await threads.close();
  }
}

/** Fills the memory with one block of rows after the other; their number. */
async function* blocks(
  source: RowSource,
  share: Share,
  layout: ScatterLayout,
  f32: Float32Array,
): AsyncGenerator<number> {
  const capacity = layout.panels * PANEL;
  let filled = 0;
  for await (const { rows, data } of source.chunks(share)) {
    for (let i = 0; i < rows; i++) {
      f32.set(data.subarray(i * source.width, (i + 1) * source.width), layout.rows / 4 + filled * layout.width);
      if (++filled < capacity) continue;
      yield filled;
      filled = 0;
    }
  }
  if (filled > 0) yield filled;
}

/** From about the centre to about the mean, in place. */
async function finish(
  source: RowSource,
  precision: GramPrecision,
  centre: Float64Array,
  { sums, products: scatter }: ScatterSums,
): Promise<Moments> {
  const { rows, width } = source;
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
