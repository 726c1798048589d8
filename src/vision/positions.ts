import { tf, type Tensor, type Tensor4D } from '../engine/index.js';
import {
  bicubic,
  bicubicAntialiased,
  bicubicBy,
  padRotation,
  resample,
  rotation,
  type AxisWeights,
  type Rotation,
} from '../nn/index.js';
import type { VisionConfig } from './config.js';
import type { PositionResize } from './families.js';

const AXIS: Record<PositionResize, AxisWeights> = {
  bicubic,
  'bicubic, antialiased': bicubicAntialiased,
  'bicubic, offset': bicubicBy((from, to) => (to + OFFSET) / from),
};
const OFFSET = 0.1;

/** The table for a grid of `rows` × `columns` patches, [class token's if it has one + rows · columns, c]. */
export function positionTable(config: VisionConfig, table: Tensor, rows: number, columns: number): Tensor {
  const [count, c] = table.shape as [number, number];
  const before = config.classPosition ? 1 : 0;
  const side = Math.round(Math.sqrt(count - before));
  if (rows === side && columns === side) return table;
  return tf.tidy(() => {
    const grid = table.slice([before, 0], [-1, -1]).reshape<Tensor4D>([1, side, side, c]);
    const resized = resample(grid, rows, columns, AXIS[config.positionResize]).reshape([rows * columns, c]);
    return before === 0 ? resized : tf.concat([table.slice([0, 0], [1, -1]), resized]);
  });
}

/**
 * DINOv3's rotation of `rows` × `columns` patches behind `extra` tokens that are not turned: the angles are 2π times the
 * patch centres' coordinates in [−1, 1], y first, over θ^(4j/d), j < d/4 (Siméoni et al. 2025).
 */
export function patchRotation(config: VisionConfig, rows: number, columns: number, extra: number): Rotation {
  const d = config.width / config.heads;
  const frequencies = Array.from({ length: d / 4 }, (_, j) => (2 * Math.PI) / config.ropeTheta ** ((4 * j) / d));
  const centre = (i: number, count: number): number => (2 * (i + 0.5)) / count - 1;
  const angles = new Float32Array((rows * columns * d) / 2);
  let at = 0;
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      for (const coordinate of [centre(row, rows), centre(column, columns)])
        for (const frequency of frequencies) angles[at++] = coordinate * frequency;
  const patches = rotation(tf.tensor3d(angles, [1, rows * columns, d / 2]), { learned: false });
  return padRotation(patches, extra, 0);
}
