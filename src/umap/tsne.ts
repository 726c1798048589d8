import type { RandomNumbers } from '../base/index.js';
import { symmetricEdges, type Edges, type NeighbourLists } from './graph.js';
import { Quadtree } from './quadtree.js';

export interface TsneOptions {
  /** How many neighbours count; the lists should hold three times as many. Default 30. */
  perplexity?: number | undefined;
  /** Default 1000. */
  iterations?: number | undefined;
  random: RandomNumbers;
  onIteration?: ((done: number, total: number) => Promise<void> | void) | undefined;
}

/** Affinities are multiplied by this at first, so that groups form. */
const EXAGGERATION = 12;
const EXAGGERATED = 250;
/** Width over distance below which a group of points counts as one. */
const ANGLE = 0.5;
/** Standard deviation of the start. */
const SMALL = 1e-4;

/**
 * t-SNE in the plane (van der Maaten 2014: neighbours' affinities, Barnes–Hut repulsion) from exact neighbours and a
 * start [rows, 2]; schedule and rate are scikit-learn's. Deterministic.
 */
export async function tsne(
  neighbours: NeighbourLists,
  start: Float32Array,
  { perplexity = 30, iterations = 1000, random, onIteration }: TsneOptions,
): Promise<Float32Array> {
  const rows = start.length / 2;
  const edges = affinities(neighbours, Math.min(perplexity, neighbours.k / 3));
  const points = smallStart(start, random);
  const tree = new Quadtree(rows);
  const gradient = new Float64Array(points.length);
  const velocity = new Float64Array(points.length);
  const gains = new Float64Array(points.length).fill(1);
  const rate = Math.max(rows / EXAGGERATION / 4, 50);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const early = iteration < EXAGGERATED;
    gradientAt(points, edges, tree, early ? EXAGGERATION : 1, gradient);
    const momentum = early ? 0.5 : 0.8;
    for (let at = 0; at < points.length; at++) {
      const turning = velocity[at] * gradient[at] < 0;
      gains[at] = Math.max(0.01, turning ? gains[at] + 0.2 : gains[at] * 0.8);
      velocity[at] = momentum * velocity[at] - rate * gains[at] * gradient[at];
      points[at] += velocity[at];
    }
    await onIteration?.(iteration + 1, iterations);
  }
  return Float32Array.from(points);
}

function smallStart(start: Float32Array, random: RandomNumbers): Float64Array {
  let square = 0;
  for (let at = 0; at < start.length; at += 2) square += start[at] ** 2;
  const std = Math.sqrt(square / (start.length / 2)) || 1;
  const noise = random.for('start').normals(start.length);
  return Float64Array.from(start, (value, at) => (SMALL * value) / std + 1e-2 * SMALL * noise[at]);
}

/** 4 (attraction − repulsion), with Z = Σ q over all pairs. */
function gradientAt(
  points: Float64Array,
  { head, tail, weight }: Edges,
  tree: Quadtree,
  exaggeration: number,
  gradient: Float64Array,
): void {
  gradient.fill(0);
  tree.build(points);
  let total = 0;
  for (let at = 0; at < points.length; at += 2)
    total += tree.repulsion(points[at], points[at + 1], ANGLE * ANGLE, gradient, at);
  for (let at = 0; at < gradient.length; at++) gradient[at] *= -4 / total;
  for (let edge = 0; edge < head.length; edge++) {
    const [i, j] = [2 * head[edge], 2 * tail[edge]];
    const dx = points[i] - points[j];
    const dy = points[i + 1] - points[j + 1];
    const pull = (4 * exaggeration * weight[edge]) / (1 + dx * dx + dy * dy);
    gradient[i] += pull * dx;
    gradient[i + 1] += pull * dy;
  }
}

/** Symmetric affinities that sum to one over all edges, of bandwidths whose entropy is log `perplexity`. */
export function affinities(neighbours: NeighbourLists, perplexity: number): Edges {
  const { k, values } = neighbours;
  const rows = values.length / k;
  const directed = new Float32Array(values.length);
  for (let i = 0; i < rows; i++)
    conditional(values.subarray(i * k, (i + 1) * k), perplexity, directed.subarray(i * k, (i + 1) * k));
  return symmetricEdges(neighbours, directed, (a, b) => (a + b) / (2 * rows));
}

function conditional(distances: Float32Array, perplexity: number, out: Float32Array): void {
  const squares = distances.map(distance => distance * distance - distances[0] * distances[0]);
  const target = Math.log(perplexity);
  let [low, high, precision] = [0, Infinity, 1 / (squares[squares.length - 1] || 1)];
  for (let step = 0; step < 100; step++) {
    let [sum, mean] = [0, 0];
    squares.forEach((square, j) => {
      const p = Math.exp(-square * precision);
      out[j] = p;
      sum += p;
      mean += p * square;
    });
    const excess = Math.log(sum) + (precision * mean) / sum - target;
    for (let j = 0; j < out.length; j++) out[j] /= sum;
    if (Math.abs(excess) < 1e-5) return;
    if (excess > 0) low = precision;
    else high = precision;
    precision = high === Infinity ? precision * 2 : (low + high) / 2;
  }
}
