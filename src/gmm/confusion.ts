import { NEGLIGIBLE, TILE } from './kernels/index.js';
import type { Mixture } from './mixture.js';
import { install } from './model.js';
import { expectation } from './steps.js';
import type { Workspace } from './workspace.js';

/**
 * How often components share a row: the mean over the rows of r rᵀ, [components, components], where r are a row's
 * responsibilities under the mixture. One E-step, whose distances are read block by block.
 * @throws FitError where a component has collapsed.
 */
export async function confusion(ws: Workspace, mixture: Mixture): Promise<Float64Array> {
  const { components } = mixture;
  const { keepDistances, components: columns } = ws.layout;
  const out = new Float64Array(components * components);
  const active: number[] = [];
  const shares: number[] = [];
  await install(ws, mixture);
  await expectation(ws, components, ({ start, rows }) => {
    for (let n = 0; n < rows; n++) {
      const tile = Math.floor((keepDistances ? start + n : n) / TILE);
      const column = tile * columns * TILE + (n % TILE);
      active.length = shares.length = 0;
      for (let k = 0; k < components; k++) {
        const r = ws.constants[k] - 0.5 * ws.distances[column + k * TILE] - ws.logDensity[start + n];
        if (r <= -NEGLIGIBLE) continue;
        active.push(k);
        shares.push(Math.exp(r));
      }
      for (let i = 0; i < active.length; i++)
        for (let j = 0; j < active.length; j++)
          out[active[i] * components + active[j]] += (shares[i] * shares[j]) / ws.rows;
    }
  });
  await ws.communicator.allReduceSum(out);
  return out;
}

export interface Merge {
  /** The two groups that become one, by their first components. */
  into: number;
  from: number;
  /** Chance that a row of the one is given to the other, the larger of both ways round. */
  overlap: number;
  /** Groups that are left. */
  groups: number;
}

/**
 * Which components belong together: the two groups that share most rows become one, until one is left. Responsibilities
 * of a group are sums, so its row of the matrix is a sum too.
 * @param shared the result of `confusion`, [components, components]
 */
export function mergeTree(shared: Float64Array, components: number): Merge[] {
  const matrix = shared.slice();
  const alive = Array.from({ length: components }, (_, k) => k);
  const merges: Merge[] = [];
  const weight = (i: number): number => alive.reduce((sum, j) => sum + matrix[i * components + j], 0);
  while (alive.length > 1) {
    const weights = new Map(alive.map(i => [i, weight(i)]));
    let best: Merge = { into: alive[0], from: alive[1], overlap: -1, groups: alive.length - 1 };
    for (const i of alive)
      for (const j of alive) {
        if (j <= i) continue;
        const overlap = matrix[i * components + j] / Math.min(weights.get(i)!, weights.get(j)!);
        if (overlap > best.overlap) best = { into: i, from: j, overlap, groups: alive.length - 1 };
      }
    const { into, from } = best;
    for (let j = 0; j < components; j++) matrix[into * components + j] += matrix[from * components + j];
    for (let j = 0; j < components; j++) matrix[j * components + into] += matrix[j * components + from];
    alive.splice(alive.indexOf(from), 1);
    merges.push(best);
  }
  return merges;
}
