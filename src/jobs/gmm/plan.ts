import { availableCores } from '../../base/index.js';
import { alone, type Communicator } from '../../distributed/index.js';
import { batchRows, pairOperations, planShape, rowShare, type CovarianceType } from '../../gmm/index.js';
import { arrayRows, type RowSource } from '../../rows/index.js';
import { fitPca } from '../../pca/index.js';
import { splitMemory, type MemoryParts } from './memory.js';
import type { GmmSettings } from './settings.js';
import { divide, type GmmSource } from './space.js';

export interface PlanRow {
  source: string;
  components: number;
  rows: number;
  dims: number;
  /** How the rows and their distances to components are held. */
  way: 'in memory' | 'rows streamed' | 'rows streamed, distances recomputed';
  /** All that is held at once, of the memory allowed. */
  memory_mb: number;
  /** Reads of all rows from disk. */
  passes: number;
  /** To --max-iter iterations, about; most fits stop before. */
  seconds: number;
}

/** Rows from which the number of dimensions is estimated. */
const SAMPLE = 2000;
/** Multiply-and-adds per second of one thread in the kernels, measured; and components that a row is near to. */
const SPEED = 1.5e10;
const NEAR = 20;

/** Estimates the cost of a sweep from a few rows; of several ranks that of the first, whose share is no smaller than another's. */
export async function planSweep(
  sources: GmmSource[],
  settings: GmmSettings,
  { size }: Pick<Communicator, 'size'> = alone,
): Promise<PlanRow[]> {
  const threads = settings.threads ?? availableCores();
  const own: number[] = [];
  for (const { rows } of sources) own.push(await estimatedDims(rows, settings, threads));
  const common = Math.max(...own);
  return sources.flatMap((source, i) => {
    const dims = settings.dims === 'common' ? Math.min(common, source.rows.width) : own[i];
    return planSource(source, { dims, threads, communicator: { rank: 0, size } }, settings);
  });
}

interface Planned {
  dims: number;
  threads: number;
  communicator: Pick<Communicator, 'rank' | 'size'>;
}

function planSource(source: GmmSource, { dims, threads, communicator }: Planned, settings: GmmSettings): PlanRow[] {
  const { covariance, restarts, repeats, maxIter } = settings;
  const [{ train, heldout }] = divide(source, settings);
  const { rows } = train;
  const memory = splitMemory(settings.memory);
  // One workspace serves the whole sweep, so it has room for the largest mixture.
  const shape = { components: Math.max(...settings.components), covariance, threads, communicator };
  const fit = planShape({ rows, width: dims }, { ...shape, memory: memory.workspace });
  const held = fit.bytes + besides({ rows, heldout: heldout?.rows, dims }, shape, memory, settings);
  const streamed = fit.residentRows < fit.rows;
  const fits = restarts * repeats;
  return settings.components.map(components => {
    const near = fit.rows * Math.min(components, NEAR);
    const pairs = (fit.keepDistances ? near : fit.rows * components) + near;
    return {
      source: source.name,
      components,
      rows,
      dims,
      way: !streamed ? 'in memory' : fit.keepDistances ? 'rows streamed' : 'rows streamed, distances recomputed',
      memory_mb: Math.ceil(held / 2 ** 20),
      passes: streamed ? fits * (2 * maxIter + 2) : 1,
      seconds: Math.ceil((fits * maxIter * pairs * pairOperations(covariance, dims)) / (SPEED * threads)),
    };
  });
}

/** Bytes that a sweep holds beside the fit's workspace: the rows that are not left in a file, and what scores or fits. */
function besides(
  { rows, heldout = 0, dims }: { rows: number; heldout?: number | undefined; dims: number },
  shape: { components: number; covariance: CovarianceType } & Pick<Planned, 'threads' | 'communicator'>,
  memory: MemoryParts,
  { algorithm, controls }: GmmSettings,
): number {
  const bytes = (count: number): number => count * dims * 4;
  const cached = (count: number, part: number): number => {
    const { start, end } = rowShare(shape.communicator, count);
    return bytes(end - start) <= part ? bytes(end - start) : 0;
  };
  const workspace = (count: number): number =>
    count === 0 ? 0 : planShape({ rows: count, width: dims }, { ...shape, memory: memory.second }).bytes;
  const batch = batchRows({ rows, width: dims }, { ...shape, memory: memory.second });
  const other = {
    em: () => 0,
    stepwise: () => bytes(batch) + workspace(batch),
    adam: () => bytes(rows),
  }[algorithm]();
  const permuted = cached(rows, memory.permutedTrain) + cached(heldout, memory.permutedHeldout);
  return (
    cached(rows, memory.train) +
    cached(heldout, memory.heldout) +
    (controls.includes('permutation') ? permuted : 0) +
    Math.max(other, workspace(heldout))
  );
}

async function estimatedDims(
  rows: RowSource,
  { initial, pca, dims, variance }: GmmSettings,
  threads: number,
): Promise<number> {
  if (initial?.space) return initial.space.dims;
  if (!pca) return rows.width;
  if (typeof dims === 'number') return dims;
  const take = Math.min(rows.rows, SAMPLE);
  const stride = rows.rows / take;
  const chosen = Int32Array.from({ length: take }, (_, i) => Math.floor(i * stride));
  const data = new Float32Array(take * rows.width);
  let next = 0;
  for await (const chunk of rows.chunks())
    for (; next < take && chosen[next] < chunk.start + chunk.rows; next++) {
      const row = chosen[next] - chunk.start;
      data.set(chunk.data.subarray(row * rows.width, (row + 1) * rows.width), next * rows.width);
    }
  return (await fitPca(arrayRows(rows.name, data, take, rows.width), { variance, threads })).dims;
}
