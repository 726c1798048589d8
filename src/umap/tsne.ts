import { availableCores } from '../base/index.js';
import type { RandomNumbers } from '../base/index.js';
import { affinities } from './affinities.js';
import { openForces, type Forces } from './forces.js';
import type { NeighbourLists } from './graph.js';

export interface TsneOptions {
  /** How many neighbours count; the lists should hold three times as many. Default 30. */
  perplexity?: number | undefined;
  /** Those with exaggeration counted. Default 750. */
  iterations?: number | undefined;
  random: RandomNumbers;
  onIteration?: ((done: number, total: number) => Promise<void> | void) | undefined;
}

/** Affinities are multiplied by this at first, so that groups form. */
const EXAGGERATION = 12;
const EXAGGERATED = 250;
const MOMENTUM = 0.8;
const LEAST_GAIN = 0.01;
/** Of a point in one iteration, so that none shoots off. */
const LONGEST_MOVE = 5;
/** Standard deviation of the start. */
const SMALL = 1e-4;

/**
 * t-SNE in the plane (van der Maaten & Hinton 2008: affinities of nearest neighbours, repulsion of all points) from exact
 * neighbours and a start [rows, 2]. Schedule, rates and start are openTSNE 1.0's; deterministic.
 */
export async function tsne(
  neighbours: NeighbourLists,
  start: Float32Array,
  { perplexity = 30, iterations = 750, random, onIteration }: TsneOptions,
): Promise<Float32Array> {
  const rows = start.length / 2;
  const edges = affinities(neighbours, Math.min(perplexity, neighbours.k / 3));
  const descent = newDescent(smallStart(start, random));
  const forces = await openForces(edges, rows, availableCores());
  try {
    for (let iteration = 0; iteration < iterations; iteration++) {
      const exaggeration = iteration < EXAGGERATED ? EXAGGERATION : 1;
      forces.points.set(descent.points);
      const total = await forces.compute();
      move(descent, forces, total, exaggeration);
      await onIteration?.(iteration + 1, iterations);
    }
  } finally {
    await forces.close();
  }
  return Float32Array.from(descent.points);
}

/** Gradient descent with momentum and a gain for every coordinate (Jacobs 1988). All [rows, 2]. */
interface Descent {
  points: Float64Array;
  velocity: Float64Array;
  gains: Float64Array;
}

const newDescent = (points: Float64Array): Descent => ({
  points,
  velocity: new Float64Array(points.length),
  gains: new Float64Array(points.length).fill(1),
});

function smallStart(start: Float32Array, random: RandomNumbers): Float64Array {
  let square = 0;
  for (let at = 0; at < start.length; at += 2) square += start[at] ** 2;
  const std = Math.sqrt(square / (start.length / 2)) || 1;
  const noise = random.for('start').normals(start.length);
  return Float64Array.from(start, (value, at) => (SMALL * value) / std + 1e-2 * SMALL * noise[at]);
}

/** One step down attraction − repulsion / `total`, a quarter of the gradient, at a rate of rows / exaggeration. */
function move(
  { points, velocity, gains }: Descent,
  { attraction, repulsion }: Forces,
  total: number,
  exaggeration: number,
): void {
  const rate = points.length / 2 / exaggeration;
  let [middleX, middleY] = [0, 0];
  for (let at = 0; at < points.length; at += 2) {
    for (let axis = at; axis < at + 2; axis++) {
      const slope = exaggeration * attraction[axis] - repulsion[axis] / total;
      const onwards = velocity[axis] * slope < 0;
      gains[axis] = onwards ? gains[axis] + 0.2 : gains[axis] * 0.8 + LEAST_GAIN;
      velocity[axis] = MOMENTUM * velocity[axis] - rate * gains[axis] * slope;
    }
    const length = Math.hypot(velocity[at], velocity[at + 1]);
    if (length > LONGEST_MOVE) {
      velocity[at] *= LONGEST_MOVE / length;
      velocity[at + 1] *= LONGEST_MOVE / length;
    }
    points[at] += velocity[at];
    points[at + 1] += velocity[at + 1];
    middleX += points[at];
    middleY += points[at + 1];
  }
  middleX /= points.length / 2;
  middleY /= points.length / 2;
  for (let at = 0; at < points.length; at += 2) {
    points[at] -= middleX;
    points[at + 1] -= middleY;
  }
}
