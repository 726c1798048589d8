import { tf, type Tensor, type Tensor4D } from '../../engine/index.js';
import {
  axialAngles,
  bilinear,
  mixedAngles,
  padRotation,
  resample,
  rotation,
  type Params,
  type Rotation,
} from '../../nn/index.js';
import { gridSide, type Stack, type VitConfig } from './config.js';

/** Rows and columns of patches. */
export type Grid = [rows: number, columns: number];

/** Tokens of a sequence that positions do not turn: `before` and `after` the patches. */
export interface Surroundings {
  before: number;
  after: number;
}

/** The rotation of a stack's layer, or undefined where positions are absolute. */
export function layerRotation(
  { positions, ropeTheta }: VitConfig,
  { width, heads }: Stack,
  { freqs }: Params,
  layer: number,
  [rows, columns]: Grid,
  { before, after }: Surroundings,
): Rotation | undefined {
  if (positions === 'absolute') return undefined;
  if (positions === 'rope-axial') {
    const angles = axialAngles(width / heads, ropeTheta, rows, columns);
    return padRotation(rotation(angles, { learned: false }), before, after);
  }
  const own = tf.slice(freqs, [0, layer, 0], [2, 1, width / 2]).reshape([2, width / 2]);
  return padRotation(rotation(mixedAngles(own, heads, rows, columns)), before, after);
}

/** The learned frequencies of all layers, where there are some. */
export const frequencies = ({ freqs }: Params): Params => ((freqs as Tensor | undefined) ? { freqs } : {});

/**
 * Learned positions [1, 1 + N, c], class token first, for a grid: as they are where it is the model's own, the patches'
 * part interpolated bilinearly where it is another.
 */
export function gridPositionTable(config: VitConfig, table: Tensor, [rows, columns]: Grid): Tensor {
  const side = gridSide(config);
  if (rows === side && columns === side) return table;
  const width = table.shape[2]!;
  const [first, patches] = tf.split(table, [1, side * side], 1);
  const resized = resample(patches.reshape<Tensor4D>([1, side, side, width]), rows, columns, bilinear);
  return tf.concat([first, resized.reshape([1, rows * columns, width])], 1);
}
