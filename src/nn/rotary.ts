import { tf, type Tensor } from '../engine/index.js';
import { differentiable } from './differentiable.js';

/*
 * Rotary positions (Su et al. 2021; for images Heo et al. 2024). A pair of adjacent features (2k, 2k + 1) of a query
 * or key is rotated by an angle that grows with the token's position, so that logits depend on offsets alone.
 */

/** Cosines and sines per token and feature, [h or 1, t, d]: both members of a pair hold the pair's value. */
export interface Rotation {
  cos: Tensor;
  sin: Tensor;
  /** The angles behind them, [h or 1, t, d/2]; a gradient goes to these. Absent where nothing is learned. */
  angles?: Tensor | undefined;
}

/** Angles [h or 1, t, d/2] of the pairs → rotation. `learned`: whether a gradient is wanted for the angles. */
export function rotation(angles: Tensor, { learned = true }: { learned?: boolean } = {}): Rotation {
  const tables = tf.tidy(() => ({ cos: pairs(tf.cos(angles)), sin: pairs(tf.sin(angles)) }));
  return learned ? { ...tables, angles } : tables;
}

/** Each of d/2 values twice, side by side. */
function pairs(x: Tensor): Tensor {
  const [heads, tokens, half] = x.shape as [number, number, number];
  return tf.tile(x.reshape([heads, tokens, half, 1]), [1, 1, 1, 2]).reshape([heads, tokens, 2 * half]);
}

/** A rotation that leaves `before` tokens ahead and `after` tokens behind untouched. */
export function padRotation({ cos, sin, angles }: Rotation, before: number, after: number): Rotation {
  const pad = (table: Tensor, value: number): Tensor =>
    tf.pad(
      table,
      [
        [0, 0],
        [before, after],
        [0, 0],
      ],
      value,
    );
  return { cos: pad(cos, 1), sin: pad(sin, 0), ...(angles ? { angles: pad(angles, 0) } : {}) };
}

/** Turns x [n, h, t, d]: (a, b) → (a cos − b sin, a sin + b cos) for every pair. */
export function rotate(by: Rotation, x: Tensor): Tensor {
  const turn = differentiable(
    input => {
      const output = rotated(by, input);
      return [output, output, ...tablesOf(by)];
    },
    (dy, output, ...tables) => {
      const kept = fromTables(tables);
      return kept.angles ? [rotatedBack(kept, dy), angleGradient(kept.angles, dy, output)] : [rotatedBack(kept, dy)];
    },
  );
  return by.angles ? turn(x, by.angles) : turn(x);
}

/** A rotation as a list of tensors, for a custom gradient to save, and back. */
export const tablesOf = ({ cos, sin, angles }: Rotation): Tensor[] => (angles ? [cos, sin, angles] : [cos, sin]);
export const fromTables = ([cos, sin, angles]: Tensor[]): Rotation => ({ cos, sin, angles });

/** A rotation that also multiplies by `scale`; its inverse, `rotatedBack`, then multiplies too, as a gradient does. */
export const scaledTables = ({ cos, sin, angles }: Rotation, scale: number): Rotation => ({
  cos: cos.mul(scale),
  sin: sin.mul(scale),
  angles,
});

/** `rotate` without a gradient; here the two members of a pair may have cosines and sines of their own. */
export const rotated = ({ cos, sin }: Rotation, x: Tensor): Tensor => x.mul(cos).add(quarterTurn(x).mul(sin));

/** The inverse of `rotated`, which is also its gradient. */
export const rotatedBack = ({ cos, sin }: Rotation, x: Tensor): Tensor => x.mul(cos).sub(quarterTurn(x).mul(sin));

/**
 * Gradient with respect to angles [h or 1, t, d/2] of y = rotate(x), from dy and y [n, h, t, d]: a pair moves along its
 * quarter turn.
 */
export function angleGradient(angles: Tensor, dy: Tensor, y: Tensor): Tensor {
  const [heads, t, half] = angles.shape as [number, number, number];
  const perHead = dy.mul(quarterTurn(y)).sum(0).reshape([-1, t, half, 2]).sum(-1);
  return heads === 1 ? perHead.sum(0, true) : perHead;
}

/**
 * Every pair (a, b) as (−b, a). By a small constant matrix: one product, where slicing or reversing an innermost axis
 * of two would touch memory element by element. Always in float32, as positions are.
 */
function quarterTurn(x: Tensor): Tensor {
  const width = x.shape[x.rank - 1];
  const turn = new Float32Array(width * width);
  for (let i = 0; i < width; i += 2) {
    turn[(i + 1) * width + i] = -1;
    turn[i * width + i + 1] = 1;
  }
  const product: Tensor = tf.matMul(x.reshape([-1, width]), tf.tensor2d(turn, [width, width]));
  return product.reshape(x.shape);
}

/** Columns and rows of a grid's cells in row-major order, from 0. */
export function gridPositions(height: number, width: number): { x: Float32Array; y: Float32Array } {
  const cells = { length: height * width };
  return {
    x: Float32Array.from(cells, (_, i) => i % width),
    y: Float32Array.from(cells, (_, i) => Math.floor(i / width)),
  };
}

/**
 * Angles of learnable mixed positions: x fx + y fy per head and pair.
 * `freqs` [2, heads · pairs] of one layer (index 0 for x) → [heads, height · width, pairs].
 */
export function mixedAngles(freqs: Tensor, heads: number, height: number, width: number): Tensor {
  return tf.tidy(() => {
    const { x, y } = gridPositions(height, width);
    const positions = tf.transpose(tf.tensor2d([...x, ...y], [2, x.length]));
    // In float32 whatever the precision of the rest: bfloat16 cannot tell 256 from 257.
    const angles = tf.matMul(positions, freqs);
    return tf.transpose(angles.reshape([x.length, heads, -1]), [1, 0, 2]);
  });
}

/** θ^(−4j / d), j < d/4: the frequencies of one axis of a head d wide. */
function axisFrequencies(headDim: number, theta: number): number[] {
  return Array.from({ length: headDim / 4 }, (_, j) => theta ** ((-4 * j) / headDim));
}

/** Angles of axial positions, [1, height · width, d/2]: the first half of the pairs turns by x, the rest by y. */
export function axialAngles(headDim: number, theta: number, height: number, width: number): Tensor {
  const frequencies = axisFrequencies(headDim, theta);
  const { x, y } = gridPositions(height, width);
  const rows = Array.from(x, (column, i) => [...frequencies.map(f => column * f), ...frequencies.map(f => y[i] * f)]);
  return tf.tensor3d([rows]);
}

/**
 * Initial mixed frequencies [2, depth, heads · d/2]: for each layer and head the axial magnitudes along one random
 * direction and its perpendicular. `directions` are depth · heads uniforms in [0, 1).
 */
export function initialMixedFrequencies(
  depth: number,
  heads: number,
  headDim: number,
  theta: number,
  directions: Float32Array,
): Tensor {
  const magnitudes = axisFrequencies(headDim, theta);
  const along = (turn: (angle: number) => number, offset: number): number[] =>
    Array.from(directions, u => turn(2 * Math.PI * u + offset)).flatMap(cosine => magnitudes.map(m => m * cosine));
  const interleave = (a: number[], b: number[]): number[] =>
    Array.from(directions, (_, i) => i * magnitudes.length).flatMap(at => [
      ...a.slice(at, at + magnitudes.length),
      ...b.slice(at, at + magnitudes.length),
    ]);
  const fx = interleave(along(Math.cos, 0), along(Math.cos, Math.PI / 2));
  const fy = interleave(along(Math.sin, 0), along(Math.sin, Math.PI / 2));
  return tf.tensor([...fx, ...fy], [2, depth, heads * (headDim / 2)]);
}
