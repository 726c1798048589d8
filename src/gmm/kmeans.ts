import type { RandomNumbers } from '../base/index.js';
import { PASSES } from './kernels/index.js';
import type { StartMethod } from './names.js';
import type { Workspace } from './workspace.js';

/** scikit-learn's limits for the k-means before a mixture. */
const LLOYD_ITERATIONS = 300;
const LLOYD_TOLERANCE = 1e-4;
/** Rows to their nearest centres, and their sums there. */
const LLOYD = [PASSES.assign, PASSES.average];
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
  if (start === 'random') await drawCentres(ws, components, random);
  else await spreadCentres(ws, components, random);
  ws.best.fill(0, 0, ws.rows);
  ws.decay.fill(0, 0, components);
  ws.drift.fill(0, 0, components);
  await ws.pass(components, LLOYD);
  if (start === 'kmeans') await lloyd(ws, components);
  ws.means.set(ws.centres.subarray(0, components * ws.layout.width));
}

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

/** k-means++: each further centre is a row drawn with probability proportional to its squared distance so far. */
async function spreadCentres(ws: Workspace, components: number, random: RandomNumbers): Promise<void> {
  const uniforms = random.for('centres').uniforms(components);
  const nearest = ws.bestLog.subarray(0, ws.rows);
  let row = Math.floor(uniforms[0] * ws.rows);
  for (let k = 0; k < components; k++) {
    setCentre(ws, k, await ws.rowsAt([row]));
    if (k + 1 === components) break;
    await ws.pass(k, [PASSES.seed]);
    row = drawProportionally(nearest, uniforms[k + 1]);
  }
}

/** An index with probability proportional to −logs[index]; any, where all are zero. */
function drawProportionally(logs: Float32Array, uniform: number): number {
  let total = 0;
  for (const log of logs) total -= log;
  let rest = uniform * total;
  for (let i = 0; i < logs.length; i++) {
    rest += logs[i];
    if (rest < 0) return i;
  }
  return Math.min(logs.length - 1, Math.floor(uniform * logs.length));
}

/** Lloyd's iterations from the assignment and sums at hand. */
async function lloyd(ws: Workspace, components: number): Promise<void> {
  const variance = await meanVariance(ws);
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
    const far = leastLikely(ws.bestLog.subarray(0, ws.rows), empty.length);
    const rows = await ws.rowsAt(far);
    empty.forEach((k, i) => setCentre(ws, k, rows.subarray(i * dims, (i + 1) * dims)));
    return Infinity;
  }
  return total;
}

/** The indices of the `count` smallest numbers. */
export function leastLikely(logs: Float32Array, count: number): number[] {
  const found: number[] = [];
  for (let i = 0; i < logs.length; i++) {
    if (found.length === count && logs[i] >= logs[found[count - 1]]) continue;
    const at = found.findIndex(other => logs[i] < logs[other]);
    found.splice(at < 0 ? found.length : at, 0, i);
    if (found.length > count) found.pop();
  }
  return found;
}

/** The rows' variance, averaged over dimensions, from the k-means sums with one centre would cost a pass: sample it. */
async function meanVariance(ws: Workspace): Promise<number> {
  const { dims } = ws.layout;
  const count = Math.min(ws.rows, 1024);
  const rows = await ws.rowsAt(Array.from({ length: count }, (_, i) => Math.floor((i * ws.rows) / count)));
  let variance = 0;
  for (let j = 0; j < dims; j++) {
    let sum = 0;
    let squares = 0;
    // About the first row, so that a common offset costs no digits.
    for (let i = 0; i < count; i++) {
      const x = rows[i * dims + j] - rows[j];
      sum += x;
      squares += x * x;
    }
    variance += squares / count - (sum / count) ** 2;
  }
  return variance / dims;
}
