import type { RandomNumbers } from '../base/index.js';
import { similarityCurve, type Curve } from './curve.js';
import { tabulated } from './force.js';
import { generator } from './generator.js';
import { fuzzyGraph, type Edges, type NeighbourLists } from './graph.js';

export interface UmapOptions {
  /** Minimum distance of points in the embedding; default 0.1. */
  minDist?: number | undefined;
  /** Passes over the edges; default 500, beyond 10,000 rows 200. */
  epochs?: number | undefined;
  random: RandomNumbers;
  /** Called after each epoch, which may wait or throw. */
  onEpoch?: ((done: number, total: number) => Promise<void> | void) | undefined;
}

const { floor } = Math;

/** Points pushed away for every pair pulled together. */
const NEGATIVES = 5;
/** No coordinate moves further at once, before the rate. */
const CLIP = 4;
/** The start is scaled to this half-width. */
const EXTENT = 10;

/**
 * UMAP in the plane (McInnes et al. 2018) from exact neighbours and a start [rows, 2], such as the first two principal
 * components: the start, the sampling of edges and the schedule are those of umap-learn. One thread and one stream of random
 * numbers: the same input gives the same embedding.
 *
 * Not umap-js, which does the same from a random start on arrays of arrays: with typed arrays and tabulated forces the
 * layout takes a fraction of its time and memory at the same trustworthiness (`npm run bench -- umap` runs both).
 */
export async function umap(
  neighbours: NeighbourLists,
  start: Float32Array,
  { minDist = 0.1, epochs, random, onEpoch }: UmapOptions,
): Promise<Float32Array> {
  const rows = start.length / 2;
  const total = epochs ?? (rows <= 10_000 ? 500 : 200);
  const edges = worthwhile(fuzzyGraph(neighbours), total);
  const points = scaledStart(start, random);
  const curve = similarityCurve(minDist);
  const layout = edgeSampler(edges, points, curve, generator(random));
  for (let epoch = 0; epoch < total; epoch++) {
    layout(epoch, 1 - epoch / total);
    await onEpoch?.(epoch + 1, total);
  }
  return centred(points);
}

/** About the middle, since only distances mean something. */
function centred(points: Float64Array): Float32Array {
  const middle = [0, 0];
  points.forEach((value, at) => (middle[at % 2] += (2 * value) / points.length));
  return Float32Array.from(points, (value, at) => value - middle[at % 2]);
}

/** Edges that would be sampled at least once; the others are too weak to matter. Weights are then over the largest. */
function worthwhile({ head, tail, weight }: Edges, epochs: number): Edges {
  const largest = weight.reduce((most, value) => Math.max(most, value), 0);
  const kept = (_: number, at: number): boolean => weight[at] >= largest / epochs;
  return {
    head: head.filter(kept),
    tail: tail.filter(kept),
    weight: weight.filter(kept).map(value => value / largest),
  };
}

function scaledStart(start: Float32Array, random: RandomNumbers): Float64Array {
  const largest = start.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  // A little noise, so that duplicates do not stay on top of each other for ever.
  const noise = random.for('start').normals(start.length);
  return Float64Array.from(start, (value, at) => (EXTENT * value) / largest + 1e-4 * noise[at]);
}

/** One epoch: an edge of weight w (largest 1) is sampled in a share w of the epochs, evenly spaced. */
function edgeSampler({ head, tail, weight }: Edges, points: Float64Array, { a, b }: Curve, random: () => number) {
  const rows = points.length / 2;
  const period = Float64Array.from(weight, value => 1 / value);
  const next = period.slice();
  const negativePeriod = period.map(value => value / NEGATIVES);
  const nextNegative = negativePeriod.slice();
  const attraction = tabulated(square => (-2 * a * b * square ** (b - 1)) / (a * square ** b + 1));
  const repulsion = tabulated(square => (2 * b) / ((0.001 + square) * (a * square ** b + 1)));

  function attract(i: number, j: number, rate: number): void {
    const dx = points[i] - points[j];
    const dy = points[i + 1] - points[j + 1];
    const square = dx * dx + dy * dy;
    if (square === 0) return;
    const force = attraction(square);
    const mx = rate * clip(force * dx);
    const my = rate * clip(force * dy);
    points[i] += mx;
    points[i + 1] += my;
    points[j] -= mx;
    points[j + 1] -= my;
  }

  function repel(i: number, j: number, rate: number): void {
    const dx = points[i] - points[j];
    const dy = points[i + 1] - points[j + 1];
    const square = dx * dx + dy * dy;
    if (square === 0) return;
    const force = repulsion(square);
    points[i] += rate * clip(force * dx);
    points[i + 1] += rate * clip(force * dy);
  }

  return (epoch: number, rate: number): void => {
    for (let at = 0; at < head.length; at++) {
      if (next[at] > epoch) continue;
      const i = 2 * head[at];
      attract(i, 2 * tail[at], rate);
      next[at] += period[at];
      const negatives = floor((epoch - nextNegative[at]) / negativePeriod[at]);
      // The high bits of a word times the rows: uniform without a division.
      for (let n = 0; n < negatives; n++) repel(i, 2 * floor((random() * rows) / 2 ** 32), rate);
      nextNegative[at] += negatives * negativePeriod[at];
    }
  };
}

const clip = (value: number): number => (value > CLIP ? CLIP : value < -CLIP ? -CLIP : value);
