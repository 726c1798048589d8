import { sumTogether, type Communicator } from '../distributed/index.js';
import type { MemoryLayout, Moments, Views } from './kernels/index.js';

/* Σ r, Σ r (x − mean) and what is summed of second order, component by component, over the rows of all ranks. */

/** By how much sums may exceed what is expected of them and still be the same in whatever order they are summed. */
const MARGIN = 2 ** 20;

/**
 * What component k's sums are rounded by: a bound far above what they become where about `count` rows belong to it and vary
 * by `variance` along each dimension. Sums beyond it are as exact, but their last bits depend on the order.
 */
export function limitSums(
  { spread, reach, layout }: Views & { layout: MemoryLayout },
  k: number,
  count: number,
  variance: (j: number) => number,
): void {
  const { dims, width } = layout;
  reach[k] = Math.sqrt(count * MARGIN);
  for (let j = 0; j < dims; j++) spread[k * width + j] = reach[k] * Math.sqrt(variance(j));
}

/** No rows: no sums. */
export function clearSums({ counts, sums, scatter }: Views, { width }: MemoryLayout, components: number): void {
  counts.fill(0, 0, components);
  sums.fill(0, 0, components * width);
  scatter.fill(0);
}

interface Summed {
  components: number;
  moments: Moments;
}

/** Adds the sums of all ranks up, in place: without rounding, since they are what `limitSums` says. */
export async function addUp(
  communicator: Communicator,
  views: Views,
  layout: MemoryLayout,
  what: Summed,
): Promise<void> {
  if (communicator.size > 1) await sumTogether(communicator, rowsOfSums(views, layout, what));
}

/** The stretches of memory that hold sums, without padding; of a symmetric matrix the lower triangle. */
function rowsOfSums({ counts, sums, scatter }: Views, { dims, width }: MemoryLayout, what: Summed): Float64Array[] {
  const { components, moments } = what;
  const parts = [counts.subarray(0, components)];
  for (let k = 0; k < components; k++) {
    parts.push(sums.subarray(k * width, k * width + dims));
    if (moments === 'squares') parts.push(scatter.subarray(k * width, k * width + dims));
    if (moments === 'outer')
      for (let i = 0, at = k * width * width; i < dims; i++, at += width) parts.push(scatter.subarray(at, at + i + 1));
  }
  return parts;
}
