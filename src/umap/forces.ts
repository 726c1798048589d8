import { Arena, SimdModule, startThreads } from '../simd/index.js';
import { addAttraction, inFours } from './attraction.js';
import type { Edges } from './graph.js';
import { addConvolution, tables } from './hartley.js';
import { boundingBox, factors, farKernel, kernel, longestTransform, meshFor, read, spread, type Mesh } from './mesh.js';

/** The two sums of t-SNE's gradient, [rows, 2] each, q = 1 / (1 + |y_i − y_j|²). */
export interface Forces {
  /** Where the points are: to be set before `compute`. */
  points: Float32Array;
  /** Σ_j p q (y_i − y_j) over the edges. */
  attraction: Float32Array;
  /** Σ_j q² (y_i − y_j) over all points. */
  repulsion: Float32Array;
  /** Computes both; gives Σ q over all pairs, in both directions. */
  compute(): Promise<number>;
  close(): Promise<void>;
}

/** Rows below which an iteration is over before a second thread has heard of it. */
const WORTH_A_THREAD = 5000;

/** Opens memory and threads for the forces between `rows` points of the plane. The results do not depend on the threads. */
export async function openForces(edges: Edges, rows: number, available: number): Promise<Forces> {
  const threads = rows < WORTH_A_THREAD ? 1 : available;
  const { starts, tails, weights } = inFours(edges, rows);
  const longest = longestTransform(rows);
  const at = addresses(rows, tails.length, longest, threads);
  const module = new SimdModule(at.pages);
  addConvolution(module, at);
  addAttraction(module, at);
  const pool = await startThreads(module.bytes(), at.pages, threads);
  const { buffer } = pool.memory;
  const floats = (address: number, length: number): Float32Array => new Float32Array(buffer, address, length);
  const integers = (address: number, length: number): Int32Array => new Int32Array(buffer, address, length);
  const [points, attraction] = [floats(at.points, 2 * rows), floats(at.attraction, 2 * rows)];
  floats(at.weights, weights.length).set(weights);
  integers(at.tails, tails.length).set(tails.map(row => at.points + 8 * row));
  integers(at.spans, 2 * rows).set(spansOf(starts, at.tails));
  const repulsion = new Float32Array(2 * rows);
  const nodes = floats(at.nodes, (longest / 2) ** 2);
  let mesh: Mesh | undefined;
  let three = false;

  async function prepare(next: Mesh): Promise<void> {
    const { m } = next;
    if (m !== mesh?.m) {
      const found = tables(m);
      integers(at.order, m).set(found.order);
      integers(at.slots, m).set(found.slots);
      floats(at.twiddles, found.twiddles.length).set(found.twiddles);
      ({ three } = found);
    }
    mesh = next;
    // Two transforms of the columns are one of the plane, since the kernel is symmetric.
    const spectrum = floats(at.spectrum, m * m);
    kernel(mesh, spectrum);
    await pool.run('columns', at.spectrum, at.other, m, m, m, Number(three));
    await pool.run('columns', at.other, at.spectrum, m, m, m, Number(three));
    factors(spectrum, m);
  }

  return {
    points,
    attraction,
    repulsion,
    async compute() {
      const box = boundingBox(points);
      const next = meshFor(box.extent, longest, mesh);
      if (next !== mesh) await prepare(next);
      const [m, side] = [next.m, next.m / 2];
      spread(points, box, next, nodes);
      await pool.run('columns', at.nodes, at.other, side, side, m, Number(three));
      await pool.run('convolve', at.other, at.spectrum, side, m, Number(three));
      await pool.run('back', at.other, at.nodes, side, m, Number(three));
      await pool.run('attract', rows);
      const sum = read(points, box, next, nodes, repulsion);
      // Every point met itself too, with q = 1.
      return sum + rows * (rows * farKernel(next) - 1);
    },
    close: () => pool.close(),
  };
}

/** Where everything is. `other` holds half a transform of the plane, or all of the kernel's. */
function addresses(rows: number, edges: number, longest: number, threads: number) {
  const arena = new Arena();
  const scratchBytes = 16 * longest;
  const plane = 4 * longest * longest;
  return {
    threads,
    scratchBytes,
    points: arena.take(8 * rows + 8),
    attraction: arena.take(8 * rows),
    spans: arena.take(8 * rows),
    tails: arena.take(4 * edges),
    weights: arena.take(4 * edges),
    order: arena.take(4 * longest),
    slots: arena.take(4 * longest),
    twiddles: arena.take(8 * longest),
    scratch: arena.take(2 * scratchBytes * threads),
    nodes: arena.take(plane / 4),
    other: arena.take(plane),
    spectrum: arena.take(plane),
    pages: arena.pages,
  };
}

function spansOf(starts: Int32Array, tails: number): Int32Array {
  const spans = new Int32Array(2 * (starts.length - 1));
  for (let row = 0; row + 1 < starts.length; row++) {
    spans[2 * row] = tails + 4 * starts[row];
    spans[2 * row + 1] = tails + 4 * starts[row + 1];
  }
  return spans;
}
