import { selectedRows, type RowSource } from '../rows/index.js';
import { ADDRESSABLE, startThreads } from '../simd/index.js';
import { COVARIANCES } from './covariance/index.js';
import { FitError } from './errors.js';
import {
  planLayout,
  SEGMENT,
  TILE,
  viewsOf,
  type MemoryLayout,
  type Pass,
  type WorkspaceShape,
} from './kernels/index.js';
import { mixtureModule } from './module.js';
import type { CovarianceType } from './names.js';
import type { Block, Workspace } from './workspace.js';

export interface WorkspaceOptions {
  /** The most components that a fit will have. */
  components: number;
  covariance: CovarianceType;
  /** Bytes that may be used. */
  memory: number;
  threads: number;
  signal?: AbortSignal | undefined;
}

/** Rows of a block read from disk: whole segments, about this much memory, or a quarter of what is allowed. */
const BLOCK_BYTES = 64 << 20;
/** Rows × dimensions × components below which a fit is done before a second thread has started: tenths of a second. */
const WORTH_A_THREAD = 4e6;

/**
 * How a fit would use memory: the fastest way within the bound. Bytes and addresses are in `Layout`.
 * @throws FitError where there is none.
 */
export function planShape(
  source: { rows: number; width: number },
  { components, covariance, memory, ...options }: Omit<WorkspaceOptions, 'signal'>,
): MemoryLayout {
  const { rows, width } = source;
  const threads = rows * width * components < WORTH_A_THREAD ? 1 : options.threads;
  const segment = SEGMENT * TILE;
  const block = Math.max(1, Math.floor(Math.min(BLOCK_BYTES, memory / 4) / (segment * width * 4))) * segment;
  const base = { dims: width, components, covariance, rows, threads };
  const streamed = Math.min(rows, block);
  const ways: WorkspaceShape[] = [
    { ...base, residentRows: rows, keepDistances: true, keepCovariances: true },
    { ...base, residentRows: streamed, keepDistances: true, keepCovariances: true },
    { ...base, residentRows: rows, keepDistances: false, keepCovariances: false },
    { ...base, residentRows: streamed, keepDistances: false, keepCovariances: false },
  ];
  const layouts = ways.map(shape => planLayout(shape, COVARIANCES[covariance].memory));
  const fitting = layouts.find(({ bytes }) => bytes <= Math.min(memory, ADDRESSABLE));
  if (fitting) return fitting;
  const needed = Math.min(...layouts.map(({ bytes }) => bytes));
  throw tooLarge({ components, covariance, dims: width, needed, memory });
}

function tooLarge({
  memory,
  ...fit
}: {
  components: number;
  covariance: CovarianceType;
  dims: number;
  needed: number;
  memory: number;
}): FitError {
  const limit = fit.needed > ADDRESSABLE ? 'addressable' : 'allowed';
  const allowed = limit === 'addressable' ? ADDRESSABLE : memory;
  const { components, covariance, dims, needed } = fit;
  return new FitError(
    `${components} ${covariance} components in ${dims} dimensions need ${megabytes(needed)} of memory, more than the ${megabytes(allowed)} that ${limit === 'allowed' ? 'are allowed' : 'can be used'}`,
    { kind: 'memory', ...fit, allowed, limit },
  );
}

const megabytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MB`;

/**
 * Opens the memory and threads in which mixtures are fitted to these rows, [rows, width] float32. Nothing is read before
 * the first pass; the caller closes. @throws FitError where the memory allowed is too little.
 */
export async function openWorkspace(source: RowSource, options: WorkspaceOptions): Promise<Workspace> {
  const layout = planShape(source, options);
  const pool = await startThreads(mixtureModule(layout), layout.pages, layout.threads);
  const views = viewsOf(layout, pool.memory.buffer);
  views.ones.fill(1, 0, source.width);
  const run = async (name: string, ...parameters: number[]): Promise<void> => {
    Atomics.store(views.next, 0, 0);
    await pool.run(name, ...parameters);
  };
  const resident = layout.residentRows >= source.rows;
  let loaded = false;
  const work = async ({ start, rows }: Block, components: number, passes: readonly Pass[]): Promise<void> => {
    const [slot, tiles] = [start / TILE, Math.ceil(rows / TILE)];
    for (const { name, accumulates } of passes) {
      await run(name, slot, tiles, rows, components, ...(accumulates ? [Number(start === 0)] : []));
      options.signal?.throwIfAborted();
    }
  };
  return {
    ...views,
    layout,
    rows: source.rows,
    run,
    pass: async (components, passes, onBlock) => {
      const blocks = resident && loaded ? [{ start: 0, rows: source.rows }] : loadBlocks(source, layout, views.data);
      for await (const block of blocks) {
        options.signal?.throwIfAborted();
        await work(block, components, passes);
        onBlock?.(block);
      }
      loaded = true;
    },
    reload: () => {
      loaded = false;
    },
    rowsAt: indices => rowsAt(source, indices),
    close: () => pool.close(),
  };
}

/** Fills the data region with one block of rows after the other. */
async function* loadBlocks(
  source: RowSource,
  { residentRows, width }: MemoryLayout,
  data: Float32Array,
): AsyncGenerator<Block> {
  let filled = 0;
  let start = 0;
  for await (const chunk of source.chunks()) {
    for (let done = 0; done < chunk.rows;) {
      const rows = Math.min(chunk.rows - done, residentRows - filled);
      const some = chunk.data.subarray(done * source.width, (done + rows) * source.width);
      place(some, source.width, width, data.subarray(filled * width));
      done += rows;
      filled += rows;
      if (filled === residentRows) {
        yield { start, rows: filled };
        start += filled;
        filled = 0;
      }
    }
  }
  if (filled > 0) yield { start, rows: filled };
}

/** Rows of `from` numbers into rows of `to`. */
function place(rows: Float32Array, from: number, to: number, target: Float32Array): void {
  if (from === to) target.set(rows);
  else for (let i = 0; i < rows.length / from; i++) target.set(rows.subarray(i * from, (i + 1) * from), i * to);
}

async function rowsAt(source: RowSource, indices: readonly number[]): Promise<Float32Array> {
  const { width } = source;
  const ascending = Int32Array.from([...indices].sort((a, b) => a - b));
  const found = new Map<number, Float32Array>();
  for await (const { start, rows, data } of selectedRows(source, ascending).chunks())
    for (let i = 0; i < rows; i++) found.set(ascending[start + i], data.slice(i * width, (i + 1) * width));
  const out = new Float32Array(indices.length * width);
  indices.forEach((row, i) => out.set(found.get(row)!, i * width));
  return out;
}
