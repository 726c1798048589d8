import { tf, type Tensor, type Tensor1D, type Tensor2D } from '../engine/index.js';

/** Of each sample's path, [n]; NaN where a path stands still, and of straightness where it has one step only. */
export interface PathMeasures {
  /** Mean cosine of the angle between a step and the next: 1 on a straight line. */
  straightness: Float32Array;
  /** Distance between the ends over the length of the path: 1 on a straight line, and nowhere more. */
  efficiency: Float32Array;
}

/**
 * Measures paths ("Diffusing in the Right Space", arXiv 2606.03578) from a sampler's states as they come: it keeps the
 * first, the last and the direction of the step between them, not the path, and reads nothing back before the end.
 */
export class PathRuler {
  private held: Held | undefined;
  private steps = -1;

  /** The next states [n, tokens, channels], the start first; they stay the caller's. */
  take(states: Tensor): void {
    const before = this.held;
    this.held = tf.tidy(() => {
      const rows = states.reshape<Tensor2D>([states.shape[0], -1]);
      return (before ? onwards(before, rows) : begun(rows)) as never;
    });
    tf.dispose(before as never);
    this.steps++;
  }

  /** Of the paths up to here; what is taken next begins others. */
  async read(): Promise<PathMeasures> {
    const { start, last, length, cosines } = this.held!;
    const distance = tf.tidy(() => norms(last.sub(start)));
    const [distances, lengths, sums] = await Promise.all(
      [distance, length, cosines].map(tensor => tensor.data<'float32'>()),
    );
    distance.dispose();
    const turns = this.steps - 1;
    this.dispose();
    // What goes beyond 1 is rounding.
    return {
      straightness: sums.map(sum => Math.max(-1, Math.min(1, sum / turns))),
      efficiency: distances.map((value, i) => Math.min(1, value / lengths[i])),
    };
  }

  dispose(): void {
    tf.dispose(this.held as never);
    this.held = undefined;
    this.steps = -1;
  }
}

interface Held {
  start: Tensor2D;
  last: Tensor2D;
  /** The last step, with length 1; absent at the start. */
  direction?: Tensor2D;
  /** Sums over the steps, [n]. */
  length: Tensor1D;
  cosines: Tensor1D;
}

const begun = (rows: Tensor2D): Held => ({
  start: rows,
  last: rows.clone(),
  length: tf.zeros([rows.shape[0]]),
  cosines: tf.zeros([rows.shape[0]]),
});

function onwards({ start, last, direction, length, cosines }: Held, rows: Tensor2D): Held {
  const step = rows.sub<Tensor2D>(last);
  const norm = norms(step);
  const ahead = step.div<Tensor2D>(norm.expandDims(1));
  return {
    start: start.clone(),
    last: rows,
    direction: ahead,
    length: length.add<Tensor1D>(norm),
    cosines: direction ? cosines.add(ahead.mul(direction).sum<Tensor1D>(1)) : cosines.clone(),
  };
}

const norms = (rows: Tensor): Tensor1D => rows.square().sum<Tensor1D>(1).sqrt();
