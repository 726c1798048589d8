import { matMul, tf, type Tensor, type Tensor2D, type Tensor4D } from '../engine/index.js';
import type { FeatureExtractor } from './extractor.js';

/*
 * Extractors without weights. They tell gross failures from plausible images on a machine that has no network at
 * hand, and are never printed under the name of a network's distance.
 */

/** Cells along each side. */
const HOG_CELLS = 4;
const HOG_BINS = 9;
const PIXEL_CELLS = 8;

/**
 * Histograms of gradient directions: 9 bins over half a turn, on a 4 × 4 grid over the image; each number is the root
 * of the cell's mean gradient length in that direction (grey values in [0, 1]).
 */
export const hogFeatures: FeatureExtractor = {
  name: 'hog',
  isInception: false,
  input: 'grey, as it is',
  digest: '',
  widths: { pooled: HOG_CELLS ** 2 * HOG_BINS },
  features: pixels => Promise.resolve({ pooled: tf.tidy(() => hog(pixels)) }),
  dispose: () => undefined,
};

/** Mean colours on an 8 × 8 grid, in [0, 1]. */
export const pixelFeatures: FeatureExtractor = {
  name: 'pixels',
  isInception: false,
  input: 'as it is',
  digest: '',
  widths: { pooled: PIXEL_CELLS ** 2 * 3 },
  features: pixels => Promise.resolve({ pooled: tf.tidy(() => cellMeans(pixels.div(255), PIXEL_CELLS)) }),
  dispose: () => undefined,
};

/** Rec. 601 luma. */
const GREY = [0.299, 0.587, 0.114];

function hog(pixels: Tensor4D): Tensor2D {
  const [, height, width] = pixels.shape;
  const grey = pixels.div(255).mul(tf.tensor1d(GREY)).sum(3, true);
  const inner = (top: number, left: number): Tensor =>
    tf.slice(grey, [0, top, left, 0], [-1, height - 2, width - 2, -1]);
  const dx = inner(1, 2).sub(inner(1, 0)).div(2);
  const dy = inner(2, 1).sub(inner(0, 1)).div(2);
  const length = dx.square().add(dy.square()).sqrt();
  // A direction and its opposite are the same edge; the weight of a bin falls off linearly to its neighbours.
  const halfTurns = tf.atan2(dy, dx).div(Math.PI).add(1);
  const turn = halfTurns.sub(halfTurns.floor()).mul(HOG_BINS);
  const bins = tf.range(0, HOG_BINS);
  const apart = turn.sub(bins).abs();
  const around = tf.minimum(apart, apart.neg().add(HOG_BINS));
  return cellMeans(tf.relu(around.neg().add(1)).mul(length), HOG_CELLS).sqrt();
}

/** [n, h, w, c] → means over a grid of cells × cells, [n, cells · cells · c]: at any size two products with few columns. */
function cellMeans(x: Tensor, cells: number): Tensor2D {
  const [n, , , c] = x.shape as [number, number, number, number];
  // [n, c, w, rows of cells], then [n, c, rows of cells, columns of cells]
  const rows = overLastAxis(tf.transpose(x, [0, 3, 2, 1]), cells);
  const both = overLastAxis(tf.transpose(rows, [0, 1, 3, 2]), cells);
  return tf.transpose(both, [0, 2, 3, 1]).reshape([n, cells * cells * c]);
}

function overLastAxis(x: Tensor, cells: number): Tensor {
  return matMul(x, cellWeights(x.shape[x.rank - 1], cells), { transposeB: true });
}

/** [cells, size]: how much each pixel counts in the mean of each cell, pixels on a border shared. */
function cellWeights(size: number, cells: number): Tensor2D {
  const span = size / cells;
  const weights = new Float32Array(cells * size);
  for (let cell = 0; cell < cells; cell++) {
    for (let i = 0; i < size; i++) {
      const overlap = Math.min(i + 1, (cell + 1) * span) - Math.max(i, cell * span);
      if (overlap > 0) weights[cell * size + i] = overlap / span;
    }
  }
  return tf.tensor2d(weights, [cells, size]);
}
