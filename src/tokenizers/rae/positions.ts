import { tf, type Tensor3D } from '../../engine/index.js';

/** Sides of the grid that the positions of all grids are laid out over. */
const SPAN = 16;

/**
 * Fixed positions of a class token (zeros) and of a square grid of tokens [1, 1 + side², width], by sines and cosines
 * (Vaswani et al. 2017) of the column in the first half of the width and of the row in the second. Whatever its side,
 * the grid is laid out over 16 steps, as diffusers does it; the authors' own table has a step per token, which is the
 * same at 16 × 16, and their files hold it.
 */
export function sinCosTable(width: number, side: number): Tensor3D {
  const table = new Float32Array((1 + side * side) * width);
  const quarter = width / 4;
  for (let row = 0; row < side; row++)
    for (let column = 0; column < side; column++) {
      const start = (1 + row * side + column) * width;
      [column, row].forEach((place, half) => {
        for (let i = 0; i < quarter; i++) {
          const angle = (place * SPAN) / side / 10000 ** (i / quarter);
          table[start + 2 * half * quarter + i] = Math.sin(angle);
          table[start + (2 * half + 1) * quarter + i] = Math.cos(angle);
        }
      });
    }
  return tf.tensor3d(table, [1, 1 + side * side, width]);
}
