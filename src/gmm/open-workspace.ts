import { alone, type Communicator, type Share } from '../distributed/index.js';
import { installedProducts } from '../engine/index.js';
import { selectedRows, type RowSource } from '../rows/index.js';
import { ADDRESSABLE, startThreads } from '../simd/index.js';
import { COVARIANCES } from './covariance/index.js';
import { FitError } from './errors.js';
import {
  planLayout,
  productsAddon,
  segmentRows,
  TILE,
  viewsOf,
  type MemoryLayout,
  type WorkspaceShape,
} from './kernels/index.js';
import { mixtureModule } from './module.js';
import type { CovarianceType } from './names.js';
import { rowShare } from './share.js';
import { addUp, clearSums } from './sums.js';
import type { Block, Workspace } from './workspace.js';

export interface WorkspaceOptions {
  /** The most components that a fit will have. */
  components: number;
  covariance: CovarianceType;
  /** Bytes that may be used. */
  memory: number;
  threads: number;
  signal?: AbortSignal | undefined;
  /** Ranks that each hold and work on their share of the rows; memory and threads are each one's own. */
  communicator?: Communicator | undefined;
  /** The addon of native products, or null for none; the result is the same. Default: the installed one. */
  products?: string | null | undefined;
}

interface PlanOptions extends Pick<WorkspaceOptions, 'components' | 'covariance' | 'memory' | 'threads'> {
  communicator?: Pick<Communicator, 'rank' | 'size'> | undefined;
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
  { components, covariance, memory, communicator = alone, threads: most }: PlanOptions,
): MemoryLayout {
  const { rows: totalRows, width } = source;
  const { start, end } = rowShare(communicator, totalRows);
  const rows = end - start;
  const threads = rows * width * components < WORTH_A_THREAD ? 1 : most;
  const segment = segmentRows(totalRows);
  const block = Math.max(1, Math.floor(Math.min(BLOCK_BYTES, memory / 4) / (segment * width * 4))) * segment;
  const base = { dims: width, components, covariance, totalRows, rows, threads };
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
 * Opens the memory and threads in which mixtures are fitted to these rows, [rows, width] float32; of several ranks each
 * takes its share. Nothing is read before the first pass; the caller closes.
 * @throws FitError where the memory allowed is too little.
 */
export async function openWorkspace(source: RowSource, options: WorkspaceOptions): Promise<Workspace> {
  const { communicator = alone, signal } = options;
  const layout = planShape(source, options);
  const { products = installedProducts() } = options;
  const addon = typeof products === 'string' ? productsAddon(products, layout) : undefined;
  const module = mixtureModule(layout, { native: addon !== undefined });
  const pool = await startThreads(module, layout.pages, layout.threads, addon);
  const views = viewsOf(layout, pool.memory.buffer);
  views.ones.fill(1, 0, source.width);
  const run = async (name: string, ...parameters: number[]): Promise<void> => {
    Atomics.store(views.next, 0, 0);
    await pool.run(name, ...parameters);
  };
  const share = rowShare(communicator, source.rows);
  const resident = layout.residentRows >= layout.rows;
  const whole = { start: 0, rows: layout.rows };
  let loaded = false;
  return {
    ...views,
    layout,
    rows: source.rows,
    share,
    communicator,
    run,
    pass: async (components, passes, onBlock) => {
      for (const { sums } of passes) if (sums && layout.rows === 0) clearSums(views, layout, components);
      const blocks = resident && loaded ? [whole] : loadBlocks(source, share, layout, views.data);
      for await (const block of blocks) {
        signal?.throwIfAborted();
        const [slot, tiles] = [block.start / TILE, Math.ceil(block.rows / TILE)];
        for (const { name, sums } of passes) {
          await run(name, slot, tiles, block.rows, components, ...(sums ? [Number(block.start === 0)] : []));
          signal?.throwIfAborted();
        }
        onBlock?.(block);
      }
      loaded = true;
      for (const { sums } of passes)
        if (sums)
          await addUp(communicator, views, layout, { components, moments: sums === 'own' ? layout.moments : sums });
    },
    reload: () => {
      loaded = false;
    },
    rowsAt: async indices => {
      const rows = await rowsAt(source, share, indices);
      await communicator.allReduceSum(rows);
      return rows;
    },
    close: () => pool.close(),
  };
}

/** Fills the data region with one block of the share's rows after the other. */
async function* loadBlocks(
  source: RowSource,
  share: Share,
  { residentRows, width }: MemoryLayout,
  data: Float32Array,
): AsyncGenerator<Block> {
  let filled = 0;
  let start = 0;
  for await (const chunk of source.chunks(share)) {
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

/** Those of some rows that are of the share, [indices, width]; zeros for the others. */
async function rowsAt(source: RowSource, { start, end }: Share, indices: readonly number[]): Promise<Float32Array> {
  const { width } = source;
  const own = Int32Array.from(indices.filter(row => row >= start && row < end).sort((a, b) => a - b));
  const found = new Map<number, Float32Array>();
  for await (const chunk of selectedRows(source, own).chunks())
    for (let i = 0; i < chunk.rows; i++) found.set(own[chunk.start + i], chunk.data.slice(i * width, (i + 1) * width));
  const out = new Float32Array(indices.length * width);
  indices.forEach((row, i) => out.set(found.get(row) ?? [], i * width));
  return out;
}
