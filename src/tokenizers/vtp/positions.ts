import { tf, type Tensor } from '../../engine/index.js';
import { padRotation, type Rotation } from '../../nn/index.js';

const BASE = 100;

/** The periods of a head d wide, 100^(4j / d) for j < d/4, where a file does not keep them. */
export const defaultPeriods = (d: number): number[] =>
  Array.from({ length: d / 4 }, (_, j) => bfloat16(BASE ** bfloat16((2 * j) / (d / 2))));

/**
 * DINOv3's rotary positions as VTP computes them, every step in bfloat16, which its weights have learned: angles are 2π
 * times the patch centre's coordinate in [−1, 1] over the period, d/4 pairs by row and d/4 by column. `before` tokens stand
 * ahead of the patches and are not turned.
 */
export function gridRotation(periods: readonly number[], rows: number, columns: number, before: number): Rotation {
  const along = (i: number, count: number): number[] => {
    const turns = bfloat16(2 * Math.PI * bfloat16(2 * bfloat16((i + 0.5) / count) - 1));
    return periods.map(period => bfloat16(turns / period));
  };
  const angles = Array.from({ length: rows * columns }, (_, cell) => [
    ...along(Math.floor(cell / columns), rows),
    ...along(cell % columns, columns),
  ]);
  const table = (f: (angle: number) => number): Tensor =>
    tf.tensor3d([angles.map(row => row.flatMap(angle => [bfloat16(f(angle)), bfloat16(f(angle))]))]);
  return padRotation({ cos: table(Math.cos), sin: table(Math.sin) }, before, 0);
}

/** The nearest bfloat16, ties to even. */
function bfloat16(x: number): number {
  const bits = new Uint32Array(Float32Array.of(x).buffer);
  bits[0] = ((bits[0] + 0x7fff + ((bits[0] >>> 16) & 1)) >>> 16) << 16;
  return new Float32Array(bits.buffer)[0];
}
