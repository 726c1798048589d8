import { concatenated, dealt } from '../../base/index.js';
import { shareOf } from '../../distributed/index.js';
import { cholesky, NotPositiveDefiniteError, triangularSolve } from '../../engine/index.js';
import { notDefinite } from '../errors.js';
import { PANEL, type CovarianceMemory } from '../kernels/index.js';
import type { Mixture } from '../mixture.js';
import type { Workspace } from '../workspace.js';

/* Covariances that are matrices: full and tied. */

export function matrixMemory(matrices: number, width: number): CovarianceMemory {
  const blocks = width / 8;
  const factor = 32 * blocks * (blocks + 1);
  const square = width * width;
  return {
    factor,
    factors: matrices * factor,
    scatter: matrices * square,
    previous: matrices * square,
    directions: matrices * width,
    whitened: 0,
    matrix: square,
    panel: PANEL * width,
    moments: 'outer',
  };
}

/**
 * Sums or covariances in `scatter` → covariances and factors; unbounded, growth is looked for from the diagonal on. Each
 * rank computes the factors of its share of the matrices, which the others get from it.
 */
export async function factorise(
  ws: Workspace,
  matrices: number,
  { regularisation, bounded }: { regularisation: number; bounded: boolean },
): Promise<void> {
  const { dims, width } = ws.layout;
  if (!bounded) for (let k = 0; k < matrices; k++) ws.directions.fill(1 / Math.sqrt(dims), k * width, k * width + dims);
  const { communicator } = ws;
  const { start, end } = shareOf(communicator, matrices);
  await ws.run('factorise', matrices, start, end, regularisation, Number(bounded));
  if (communicator.size === 1) return;
  const all = await communicator.allGather(concatenated(Uint8Array, factorsOf(ws, start, end)));
  all.forEach((bytes, rank) => {
    const share = shareOf({ rank, size: communicator.size }, matrices);
    dealt(bytes, factorsOf(ws, share.start, share.end));
  });
}

/** The bytes of what there is of some matrices besides the covariances. */
function factorsOf(
  { factors, decay, drift, definite, logDeterminants, layout }: Workspace,
  start: number,
  end: number,
) {
  const size = layout.factorBytes / 4;
  return [
    factors.subarray(start * size, end * size),
    ...[decay, drift, definite, logDeterminants].map(values => values.subarray(start, end)),
  ].map(({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength));
}

export function writeMatrix({ scatter, layout }: Workspace, k: number, matrix: Float64Array): void {
  const { dims, width } = layout;
  const at = k * width * width;
  scatter.fill(0, at, at + width * width);
  for (let i = 0; i < dims; i++) scatter.set(matrix.subarray(i * dims, (i + 1) * dims), at + i * width);
}

/** The first matrices of `scatter` without their padding. */
export function readMatrices({ scatter, layout }: Workspace, matrices: number): Float64Array {
  const { dims, width } = layout;
  const out = new Float64Array(matrices * dims * dims);
  for (let k = 0; k < matrices; k++)
    for (let i = 0; i < dims; i++) {
      const at = (k * width + i) * width;
      out.set(scatter.subarray(at, at + dims), (k * dims + i) * dims);
    }
  return out;
}

/** The diagonal of the matrix at `start`. */
export const diagonalAt = ({ covariances, dims }: Mixture, start: number): Float64Array =>
  Float64Array.from({ length: dims }, (_, i) => covariances[start + i * dims + i]);

/** Matrix by matrix, the transposed inverse of its lower Cholesky factor. */
export function matrixFactors({ covariances, dims }: Mixture): Float64Array {
  const out = new Float64Array(covariances.length);
  const identity = Float64Array.from({ length: dims * dims }, (_, i) => Number(i % (dims + 1) === 0));
  for (let k = 0; k < covariances.length / dims ** 2; k++) {
    const at = k * dims * dims;
    const inverse = triangularSolve(
      lowerFactor(covariances.slice(at, at + dims * dims), dims, k),
      identity,
      dims,
      dims,
    );
    for (let i = 0; i < dims; i++) for (let j = 0; j <= i; j++) out[at + j * dims + i] = inverse[i * dims + j];
  }
  return out;
}

function lowerFactor(covariance: Float64Array, dims: number, k: number): Float64Array {
  try {
    return cholesky(covariance, dims);
  } catch (error) {
    throw error instanceof NotPositiveDefiniteError ? notDefinite(k) : error;
  }
}

export const scaledMatrices = ({ covarianceType, covariances, dims }: Mixture, factor: Float64Array) => ({
  covarianceType,
  covariances: covariances.map((c, i) => c * factor[i % dims] * factor[Math.floor(i / dims) % dims]),
});

export function isSymmetric(matrix: Float64Array, n: number): boolean {
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) if (matrix[i * n + j] !== matrix[j * n + i]) return false;
  return true;
}
