import { tf, type Tensor, type Tensor3D, type Tensor4D } from '../../engine/index.js';
import { sobel } from './sobel.js';

/*
 * Histograms of oriented gradients (Dalal & Triggs 2005) as MAETok's auxiliary target: per patch, cell and colour
 * channel, nine bins of unsigned gradient direction, each pixel's magnitude going to one bin whole.
 */

const BINS = 9;

/**
 * Side of a cell: half a patch, so that a patch has 2 × 2 of them (8 pixels in the published 16-pixel patches), but
 * no smaller than 4 pixels, below which a histogram would be of single gradients: small patches are one cell.
 */
const hogCell = (patchSize: number): number => (patchSize >= 8 && patchSize % 2 === 0 ? patchSize / 2 : patchSize);

/** Numbers per patch: 3 channels × 9 bins × cells; 108 where a patch has four cells. */
export const hogWidth = (patchSize: number): number => 3 * BINS * (patchSize / hogCell(patchSize)) ** 2;

export interface HogSizes {
  /** Side of a cell; default `hogCell`. */
  cell: number;
  /** Side of the Gaussian window that weighs the gradients; default the patch's. */
  window: number;
}

/**
 * images [n, h, w, 3] → [n, patches, ((channel · 9 + bin) · cells + cell row) · cells + cell column]. A cell's
 * histogram per channel has length 1. Published for 256-pixel images; here any size that patches tile.
 */
export function hog(images: Tensor4D, patchSize: number, sizes: Partial<HogSizes> = {}): Tensor3D {
  return tf.tidy(() => {
    const { cell = hogCell(patchSize), window = patchSize } = sizes;
    const histograms = cellHistograms(images, { cell, window }); // [n, h / cell, w / cell, 3, 9]
    const [n, rows, columns] = histograms.shape as [number, number, number];
    const cells = patchSize / cell;
    const perPatch = histograms.reshape([n, rows / cells, cells, columns / cells, cells, 3 * BINS]);
    const ordered = tf.transpose(perPatch, [0, 1, 3, 5, 2, 4]);
    return ordered.reshape([n, (rows * columns) / cells ** 2, 3 * BINS * cells ** 2]);
  });
}

function cellHistograms(images: Tensor4D, { cell, window }: HogSizes): Tensor {
  const { magnitude, bin } = gradients(images);
  const [, h, w] = images.shape;
  const weighted = magnitude.mul<Tensor4D>(tiledGaussian(window, h, w));
  // A bin at a time: nine one-hot images at once would be nine times the memory.
  const sums = Array.from({ length: BINS }, (_, b) =>
    tf.tidy(() => tf.avgPool(weighted.mul<Tensor4D>(bin.equal(b).cast('float32')), cell, cell, 'valid').mul(cell ** 2)),
  );
  const histograms = tf.stack(sums, -1);
  return histograms.div(tf.maximum(histograms.square().sum(-1, true).sqrt(), 1e-12));
}

/** Magnitude and direction bin of every pixel and channel. */
function gradients(images: Tensor4D): { magnitude: Tensor; bin: Tensor } {
  const { gx, gy } = sobel(images);
  const phase = tf.atan2(gx, gy).div(Math.PI).mul(BINS);
  const whole = tf.floor(phase);
  return {
    magnitude: tf.sqrt(gx.square().add(gy.square())),
    // Directions a half turn apart are one: floor mod 9, for −9 … 9.
    bin: whole.sub(tf.floor(whole.div(BINS)).mul(BINS)),
  };
}

/** A Gaussian window of a given side, σ = half of it and sum 1, repeated over the image: [1, h, w, 1]. */
function tiledGaussian(side: number, h: number, w: number): Tensor {
  const line = Array.from({ length: side }, (_, i) => Math.exp(-0.5 * ((i - (side - 1) / 2) / (side / 2)) ** 2));
  const total = line.reduce((a, b) => a + b, 0) ** 2;
  const window = line.flatMap(row => line.map(column => (row * column) / total));
  return tf.tile(tf.tensor4d(window, [1, side, side, 1]), [1, h / side, w / side, 1]);
}
