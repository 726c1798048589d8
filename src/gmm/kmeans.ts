import type { RandomNumbers } from '../base/index.js';
import { sumOf } from '../distributed/index.js';
import { arrayRows } from '../rows/index.js';
import { ADDRESSABLE } from '../simd/index.js';
import { PASSES, TILE } from './kernels/index.js';
import { leastLikely } from './least-likely.js';
import type { StartMethod } from './names.js';
import { openWorkspace } from './open-workspace.js';
import { sampleMoments } from './sample.js';
import { limitSums } from './sums.js';
import { tilesOfAll } from './tiles.js';
import type { Workspace } from './workspace.js';

/** scikit-learn's limits for the k-means before a mixture. */
const LLOYD_ITERATIONS = 300;
const LLOYD_TOLERANCE = 1e-4;
/** Rows to their nearest centres, and their sums there. */
const LLOYD = [PASSES.assign, PASSES.average];
/** Of more rows than these, k-means looks at a sample: centres of hundreds of rows each move little with more of them. */
const LEAST_SAMPLE = 2 ** 16;
const ROWS_PER_CENTRE = 512;
/** Rounding error of a distance, in standard deviations of the rows. */
const DISTANCE_ROUNDING = 1e-5;

/**
 * Divides the rows among `components` centres: leaves each row's component in `best` and the centres in `means`.
 * All random numbers come from `random`.
 */
export async function assignRows(
  ws: Workspace,
  components: number,
  start: StartMethod,
  random: RandomNumbers,
): Promise<void> {
  const { variance } = await sampleMoments(ws);
  const few = Math.max(LEAST_SAMPLE, components * ROWS_PER_CENTRE);
  const sampled = start === 'kmeans' && ws.rows > few;
  if (sampled) await centresOfSample(ws, components, few, random);
  else if (start === 'random') await drawCentres(ws, components, random);
  else await spreadCentres(ws, components, random);
  for (let k = 0; k < components; k++) limitSums(ws, k, ws.rows, j => variance[j]);
  ws.best.fill(0);
  ws.decay.fill(0, 0, components);
  ws.drift.fill(0, 0, components);
  await ws.pass(components, LLOYD);
  if (start === 'kmeans' && !sampled) await lloyd(ws, components, average(variance));
  ws.means.set(ws.centres.subarray(0, components * ws.layout.width));
  for (let k = 0; k < components; k++) limitSums(ws, k, ws.counts[k], j => variance[j]);
}

const average = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0) / values.length;

function setCentre({ centres, layout }: Workspace, k: number, row: ArrayLike<number>): void {
  const at = k * layout.width;
  centres.fill(0, at, at + layout.width);
  centres.set(row, at);
}

async function drawCentres(ws: Workspace, components: number, random: RandomNumbers): Promise<void> {
  const { dims } = ws.layout;
  const chosen = Array.from(random.for('centres').permutation(ws.rows).subarray(0, components));
  const rows = await ws.rowsAt(chosen);
  for (let k = 0; k < components; k++) setCentre(ws, k, rows.subarray(k * dims, (k + 1) * dims));
}

/** The centres that k-means ends with on some rows, drawn at random; the same for any memory and number of ranks. */
async function centresOfSample(ws: Workspace, components: number, rows: number, random: RandomNumbers): Promise<void> {
  const { communicator, layout } = ws;
  const { dims, threads, width } = layout;
  const chosen = random.for('sample').permutation(ws.rows).slice(0, rows).sort();
  const sample = arrayRows('sample', await ws.rowsAt(Array.from(chosen)), rows, dims);
  const limits = { components, covariance: 'spherical', memory: ADDRESSABLE, threads, communicator } as const;
  const inner = await openWorkspace(sample, limits);
  try {
    await assignRows(inner, components, 'kmeans', random);
    ws.centres.set(inner.centres.subarray(0, components * width));
  } finally {
    await inner.close();
  }
}

/** k-means++: each further centre is a row drawn with probability proportional to its squared distance so far. */
async function spreadCentres(ws: Workspace, components: number, random: RandomNumbers): Promise<void> {
  const uniforms = random.for('centres').uniforms(components);
  let row = Math.floor(uniforms[0] * ws.rows);
  for (let k = 0; k < components; k++) {
    setCentre(ws, k, await ws.rowsAt([row]));
    if (k + 1 === components) break;
    await ws.pass(k, [PASSES.seed]);
    row = await drawProportionally(ws, uniforms[k + 1]);
  }
}

/** A row of all ranks with probability proportional to its squared distance to the nearest centre; any, where all are zero. */
async function drawProportionally(ws: Workspace, uniform: number): Promise<number> {
  const { rows, share, communicator, layout } = ws;
  const nearest = ws.bestLog.subarray(0, layout.rows);
  const own = Float64Array.from({ length: Math.ceil(layout.rows / TILE) }, (_, t) =>
    nearest.subarray(t * TILE, (t + 1) * TILE).reduce((sum, log) => sum - log, 0),
  );
  const tiles = await tilesOfAll(ws, own);
  let rest = uniform * tiles.reduce((sum, value) => sum + value, 0);
  const tile = tiles.findIndex(value => (rest -= value) < 0);
  if (tile < 0) return Math.min(rows - 1, Math.floor(uniform * rows));
  rest += tiles[tile];
  const start = tile * TILE - share.start;
  const here = start >= 0 && start < layout.rows;
  return await sumOf(
    communicator,
    here ? share.start + start + crossing(nearest.subarray(start, start + TILE), rest) : 0,
  );
}

/** Where the numbers, negative, have used up `rest`; where rounding leaves a little of it, the last that is not zero. */
function crossing(logs: Float32Array, rest: number): number {
  for (let i = 0; i < logs.length; i++) {
    rest += logs[i];
    if (rest < 0) return i;
  }
  return logs.findLastIndex(log => log < 0);
}

/** Lloyd's iterations from the assignment and sums at hand; `variance` is the rows', averaged over dimensions. */
async function lloyd(ws: Workspace, components: number, variance: number): Promise<void> {
  const tolerance = LLOYD_TOLERANCE * variance;
  const slack = DISTANCE_ROUNDING * Math.sqrt(variance);
  for (let iteration = 0; iteration < LLOYD_ITERATIONS; iteration++) {
    const moved = await moveCentres(ws, components, slack);
    await ws.pass(components, LLOYD);
    if (moved <= tolerance) break;
  }
}

/** Centres to the means of their rows, an empty one's to the row farthest from its own; gives Σ shift². */
async function moveCentres(ws: Workspace, components: number, slack: number): Promise<number> {
  const { width, dims } = ws.layout;
  const empty: number[] = [];
  let total = 0;
  for (let k = 0; k < components; k++) {
    const count = ws.counts[k];
    ws.decay[k] = count > 0 ? 1 : 0;
    if (count === 0) {
      empty.push(k);
      continue;
    }
    let squared = 0;
    for (let j = 0; j < dims; j++) {
      const shift = ws.sums[k * width + j] / count;
      ws.centres[k * width + j] += shift;
      squared += shift * shift;
    }
    // A little more than it is, for the rounding of distances.
    ws.drift[k] = Math.sqrt(squared) * 1.0001 + slack;
    total += squared;
  }
  if (empty.length > 0) {
    const rows = await ws.rowsAt(await leastLikely(ws, ws.bestLog, empty.length));
    empty.forEach((k, i) => setCentre(ws, k, rows.subarray(i * dims, (i + 1) * dims)));
    return Infinity;
  }
  return total;
}
