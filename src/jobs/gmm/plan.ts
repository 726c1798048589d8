import { pairOperations, planShape, type CovarianceType } from '../../gmm/index.js';
import { arrayRows, splitRows, type RowSource } from '../../rows/index.js';
import { fitPca } from '../../pca/index.js';
import type { GmmSource } from './space.js';

export interface PlanRow {
  source: string;
  components: number;
  rows: number;
  dims: number;
  /** How the rows and their distances to components are held. */
  way: 'in memory' | 'rows streamed' | 'rows streamed, distances found anew';
  memory_mb: number;
  /** Reads of all rows from disk. */
  passes: number;
  /** To --max-iter iterations, about; most fits stop before. */
  seconds: number;
}

export interface PlanSettings {
  components: number[];
  covariance: CovarianceType;
  pca: boolean;
  dims: 'common' | 'own' | number;
  variance: number;
  trainShare: number;
  maxIter: number;
  restarts: number;
  repeats: number;
  memory: number;
  threads: number;
}

/** Rows from which the number of dimensions is estimated. */
const SAMPLE = 2000;
/** Multiply-and-adds per second of one thread in the kernels, measured; and components that a row is near to. */
const SPEED = 1.5e10;
const NEAR = 20;

/** Estimates the cost of a sweep from a few rows. */
export async function planSweep(sources: GmmSource[], settings: PlanSettings): Promise<PlanRow[]> {
  const own: number[] = [];
  for (const { rows } of sources) own.push(await estimatedDims(rows, settings));
  const common = Math.max(...own);
  return sources.flatMap(({ name, rows }, i) => {
    const dims = settings.dims === 'common' ? Math.min(common, rows.width) : own[i];
    const count = settings.trainShare >= 1 ? rows.rows : splitRows(rows.rows, settings.trainShare, 0).train.length;
    return settings.components.map(components => planOne(name, count, dims, components, settings));
  });
}

function planOne(source: string, rows: number, dims: number, components: number, settings: PlanSettings): PlanRow {
  const { covariance, threads, restarts, repeats, maxIter } = settings;
  const layout = planShape({ rows, width: dims }, { components, covariance, memory: settings.memory / 2, threads });
  const fits = restarts * repeats;
  const streamed = layout.residentRows < rows;
  const pairs =
    rows * (layout.keepDistances ? Math.min(components, NEAR) : components) + rows * Math.min(components, NEAR);
  return {
    source,
    components,
    rows,
    dims,
    way: !streamed ? 'in memory' : layout.keepDistances ? 'rows streamed' : 'rows streamed, distances found anew',
    memory_mb: Math.ceil(layout.bytes / 2 ** 20),
    passes: streamed ? fits * (2 * maxIter + 2) : 1,
    seconds: Math.ceil((fits * maxIter * pairs * pairOperations(covariance, dims)) / (SPEED * threads)),
  };
}

async function estimatedDims(rows: RowSource, { pca, dims, variance, threads }: PlanSettings): Promise<number> {
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
