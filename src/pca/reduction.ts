import { tf } from '../engine/index.js';
import { alone, shareOf, sumTogether, type Communicator } from '../distributed/index.js';
import { inBatches, type RowChunk, type RowSource } from '../rows/index.js';
import { centreOf, rounded, type Centre } from './centre.js';
import { PANEL } from './kernel.js';
import { notFinite } from './moments.js';
import type { Pca } from './pca.js';

/** What is done to rows before they are analysed: x → ((x − mean) · componentsᵀ) / scale, either part optional. */
export interface Reduction {
  width: number;
  dims: number;
  /** [width] */
  mean: Float64Array;
  /** [dims, width] */
  components?: Float64Array;
  /** [dims] */
  scale?: Float64Array;
}

/** Projects on the first `dims` axes; standardised, each then has unit variance over the rows of the fit. */
export function pcaReduction(pca: Pca, { dims = pca.dims, standardize = true } = {}): Reduction {
  const { width, mean, spectrum, rows } = pca;
  const components = pca.components.subarray(0, dims * width);
  // Over n, as StandardScaler has it, not n − 1; an axis without variance keeps its unit.
  const scale = Float64Array.from({ length: dims }, (_, k) => Math.sqrt((spectrum[k] * (rows - 1)) / rows) || 1);
  return { width, dims, mean, components, ...(standardize && { scale }) };
}

/**
 * Centres every column, and standardised divides it by its standard deviation (over n, as scikit-learn's StandardScaler):
 * one pass in double precision over the rows, of which each rank takes a share. @throws RowsError where numbers are not
 * finite.
 */
export async function columnReduction(
  source: RowSource,
  { standardize = true, communicator = alone }: { standardize?: boolean; communicator?: Communicator | undefined } = {},
): Promise<Reduction> {
  const { rows, width } = source;
  const about = await centreOf(source);
  const sums = new Float64Array(width);
  const squares = new Float64Array(width);
  for await (const panel of inBatches(source, PANEL, shareOf(communicator, rows, PANEL)))
    addColumns(panel.data.subarray(0, panel.rows * width), about, sums, squares);
  await sumTogether(communicator, [sums, squares]);
  if (!squares.every(Number.isFinite)) throw await notFinite(source);
  const mean = sums.map((sum, j) => about.centre[j] + sum / rows);
  const scale = squares.map((square, j) => Math.sqrt(Math.max(0, square / rows - (sums[j] / rows) ** 2)) || 1);
  return { width, dims: width, mean, ...(standardize && { scale }) };
}

/** Adds a panel's Σ (x − centre) and Σ (x − centre)² of every column, rounded. */
function addColumns(
  panel: Float32Array,
  { centre, sumLimits, limits }: Centre,
  sums: Float64Array,
  squares: Float64Array,
): void {
  const width = centre.length;
  const first = new Float64Array(width);
  const second = new Float64Array(width);
  for (let at = 0; at < panel.length;)
    for (let j = 0; j < width; j++, at++) {
      const x = panel[at] - centre[j];
      first[j] += x;
      second[j] += x * x;
    }
  for (let j = 0; j < width; j++) {
    sums[j] += rounded(first[j], sumLimits[j]);
    squares[j] += rounded(second[j], limits[j] ** 2);
  }
}

/**
 * Rows of a batch: the engine rounds a product according to the number of rows in it, so these begin at multiples of it and
 * a row becomes the same whichever rows are asked for.
 */
const BATCH = 256;

/** The rows after the reduction, [rows, dims], computed batch by batch on every pass in single precision. */
export function reducedRows(reduction: Reduction, source: RowSource): RowSource {
  const { dims } = reduction;
  const { name, rows, labels } = source;
  return {
    name,
    rows,
    width: dims,
    labels,
    async *chunks({ start = 0, end = rows, chunkRows = BATCH } = {}) {
      const apply = prepared(reduction);
      try {
        for await (const batch of inBatches(source, BATCH, { start, end }))
          yield* within(start, end, chunkRows, { ...batch, data: await apply.run(batch.data, batch.rows) }, dims);
      } finally {
        apply.dispose();
      }
    },
  };
}

/** The rows of a chunk that were asked for, at most so many at a time. */
function* within(start: number, end: number, most: number, chunk: RowChunk, width: number): Iterable<RowChunk> {
  const last = Math.min(end, chunk.start + chunk.rows);
  for (let at = Math.max(start, chunk.start); at < last; at += most) {
    const rows = Math.min(most, last - at);
    const data = chunk.data.subarray((at - chunk.start) * width, (at - chunk.start + rows) * width);
    yield { start: at, rows, data };
  }
}

interface Prepared {
  run(data: Float32Array, rows: number): Promise<Float32Array>;
  dispose(): void;
}

function prepared({ width, dims, mean, components, scale }: Reduction): Prepared {
  const centred = (data: Float32Array): Float32Array => {
    const out = new Float32Array(data.length);
    for (let i = 0; i < data.length; i += width) for (let j = 0; j < width; j++) out[i + j] = data[i + j] - mean[j];
    return out;
  };
  if (!components)
    return {
      run: data => {
        const out = centred(data);
        if (scale) for (let i = 0; i < out.length; i += width) for (let j = 0; j < width; j++) out[i + j] /= scale[j];
        return Promise.resolve(out);
      },
      dispose: () => undefined,
    };
  const scaled = components.map((value, i) => (scale ? value / scale[Math.floor(i / width)] : value));
  const axes = tf.tensor2d(Float32Array.from(scaled), [dims, width]);
  return {
    run: async (data, rows) => {
      const scores = tf.tidy(() => tf.matMul(tf.tensor2d(centred(data), [rows, width]), axes, false, true));
      const out = (await scores.data()) as Float32Array;
      scores.dispose();
      return out;
    },
    dispose: () => axes.dispose(),
  };
}
