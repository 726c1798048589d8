import { EXIT, UserError } from '../base/index.js';
import { selectedRows, type RowSource } from '../rows/index.js';
import { ADDRESSABLE, startThreads } from '../simd/index.js';
import { mixtureModule, planLayout, SEGMENT, TILE, type Layout, type Shape } from './kernels/index.js';
import type { CovarianceType } from './names.js';

export interface WorkspaceOptions {
  /** The most components that a fit will have. */
  components: number;
  covariance: CovarianceType;
  /** Bytes that may be used; default a quarter of the machine's memory. */
  memory?: number | undefined;
  threads?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** Consecutive rows that were worked on together. */
export interface Block {
  start: number;
  rows: number;
}

/** The threads' memory and what runs in it: passes over all rows of one source. */
export interface Workspace {
  readonly layout: Layout;
  readonly rows: number;
  readonly f32: Float32Array;
  readonly f64: Float64Array;
  readonly i32: Int32Array;
  /** Runs an export on all threads, its work shared out piece by piece. */
  run(name: string, ...parameters: number[]): Promise<void>;
  /**
   * One pass: for each block of rows the exports named, in order, for `components` components. An export ending in
   * `+` starts from zero sums at the first block. `onBlock` sees the memory between two blocks.
   */
  pass(components: number, names: readonly string[], onBlock?: (block: Block) => void): Promise<void>;
  /** The source's rows have changed: the next pass reads them again. */
  reload(): void;
  /** Some rows, [indices, dims]. */
  rowsAt(indices: readonly number[]): Promise<Float32Array>;
  close(): Promise<void>;
}

/** Rows of a block read from disk: whole segments, about this much memory, or a quarter of what is allowed. */
const BLOCK_BYTES = 64 << 20;
/** Rows × dimensions × components below which a fit is done before a second thread has started: tenths of a second. */
const WORTH_A_THREAD = 4e6;

/** How a fit would use memory: the fastest way within the bound. @throws UserError where there is none. */
export function planShape(
  source: { rows: number; width: number },
  { components, covariance, memory, threads = 1 }: WorkspaceOptions & { memory: number },
): Layout {
  const { rows, width } = source;
  const segment = SEGMENT * TILE;
  const block = Math.max(1, Math.floor(Math.min(BLOCK_BYTES, memory / 4) / (segment * width * 4))) * segment;
  const base = { dims: width, components, covariance, rows, threads };
  const streamed = Math.min(rows, block);
  const ways: Shape[] = [
    { ...base, residentRows: rows, keepDistances: true, keepCovariances: true },
    { ...base, residentRows: streamed, keepDistances: true, keepCovariances: true },
    { ...base, residentRows: rows, keepDistances: false, keepCovariances: false },
    { ...base, residentRows: streamed, keepDistances: false, keepCovariances: false },
  ];
  const layouts = ways.map(planLayout);
  const fitting = layouts.find(({ bytes }) => bytes <= Math.min(memory, ADDRESSABLE));
  if (fitting) return fitting;
  const least = Math.min(...layouts.map(({ bytes }) => bytes));
  const needed = `${components} ${covariance} components in ${width} dimensions need ${megabytes(least)} of memory`;
  throw new UserError(
    least > ADDRESSABLE
      ? `${needed}, more than the ${megabytes(ADDRESSABLE)} that can be used; give fewer --components or --dims, or --covariance diag`
      : `${needed}, more than --memory ${megabytes(memory)}; raise it, or give fewer --components or --dims`,
    EXIT.failed,
  );
}

const megabytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MB`;

export async function openWorkspace(
  source: RowSource,
  options: WorkspaceOptions & { memory: number; threads: number },
): Promise<Workspace> {
  const size = source.rows * source.width * options.components;
  const threads = size < WORTH_A_THREAD ? 1 : options.threads;
  const layout = planShape(source, { ...options, threads });
  const pool = await startThreads(mixtureModule(layout), layout.pages, threads);
  const { buffer } = pool.memory;
  const views = { f32: new Float32Array(buffer), f64: new Float64Array(buffer), i32: new Int32Array(buffer) };
  views.f32.fill(1, layout.ones / 4, layout.ones / 4 + source.width);
  const run = async (name: string, ...parameters: number[]): Promise<void> => {
    Atomics.store(views.i32, layout.next / 4, 0);
    await pool.run(name, ...parameters);
  };
  const resident = layout.residentRows >= source.rows;
  let loaded = false;
  const work = async (start: number, rows: number, components: number, names: readonly string[]): Promise<void> => {
    const [slot, tiles] = [start / TILE, Math.ceil(rows / TILE)];
    for (const name of names) {
      if (name === 'whiten') await run(name, rows);
      else if (name.endsWith('+')) await run(name.slice(0, -1), slot, tiles, rows, components, Number(start === 0));
      else await run(name, slot, tiles, rows, components);
      options.signal?.throwIfAborted();
    }
  };
  return {
    layout,
    rows: source.rows,
    ...views,
    run,
    pass: async (components, names, onBlock) => {
      if (resident && loaded) {
        await work(0, source.rows, components, names);
        onBlock?.({ start: 0, rows: source.rows });
        return;
      }
      for await (const { start, rows } of loadBlocks(source, layout, views.f32)) {
        options.signal?.throwIfAborted();
        await work(start, rows, components, names);
        onBlock?.({ start, rows });
      }
      loaded = true;
    },
    reload: () => {
      loaded = false;
    },
    rowsAt: async indices => {
      const ascending = Int32Array.from([...indices].sort((a, b) => a - b));
      const found = new Map<number, Float32Array>();
      for await (const { start, rows, data } of selectedRows(source, ascending).chunks())
        for (let i = 0; i < rows; i++)
          found.set(ascending[start + i], data.slice(i * source.width, (i + 1) * source.width));
      const out = new Float32Array(indices.length * source.width);
      indices.forEach((row, i) => out.set(found.get(row)!, i * source.width));
      return out;
    },
    close: () => pool.close(),
  };
}

/** Fills the data region with one block of rows after the other. */
async function* loadBlocks(
  source: RowSource,
  { residentRows, data, width }: Layout,
  f32: Float32Array,
): AsyncGenerator<{ start: number; rows: number }> {
  let filled = 0;
  let start = 0;
  for await (const chunk of source.chunks()) {
    for (let done = 0; done < chunk.rows;) {
      const rows = Math.min(chunk.rows - done, residentRows - filled);
      place(
        chunk.data.subarray(done * source.width, (done + rows) * source.width),
        source.width,
        width,
        f32,
        data / 4 + filled * width,
      );
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

function place(rows: Float32Array, from: number, to: number, target: Float32Array, at: number): void {
  if (from === to) target.set(rows, at);
  else for (let i = 0; i < rows.length / from; i++) target.set(rows.subarray(i * from, (i + 1) * from), at + i * to);
}
