import type { RandomNumbers } from '../../base/index.js';
import { tf, type Tensor, type Tensor4D } from '../../engine/index.js';
/*
 * Differentiable augmentation of what a discriminator sees (Zhao et al. 2020). Every function takes its draws, one per
 * image, so that real and decoded images can be changed alike. images [n, h, w, 3] in [−1, 1].
 */

/** x + u − ½. */
export const brightness = (images: Tensor, u: ArrayLike<number>): Tensor => images.add(perImage(u, x => x - 0.5));

/** Distance from each pixel's grey, times 2u. */
export function saturation(images: Tensor, u: ArrayLike<number>): Tensor {
  const grey = images.mean(3, true);
  return images
    .sub(grey)
    .mul(perImage(u, x => 2 * x))
    .add(grey);
}

/** Distance from the image's mean, times u + ½. */
export function contrast(images: Tensor, u: ArrayLike<number>): Tensor {
  const mean = images.mean([1, 2, 3], true);
  return images
    .sub(mean)
    .mul(perImage(u, x => x + 0.5))
    .add(mean);
}

const perImage = (u: ArrayLike<number>, f: (x: number) => number): Tensor4D =>
  tf.tensor4d(Float32Array.from(Array.from(u), f), [u.length, 1, 1, 1]);

/** Pixel (i, j) comes from (i + down, j + right); zeros where that is outside. */
export function translate(images: Tensor4D, down: ArrayLike<number>, right: ArrayLike<number>): Tensor4D {
  const [n, h, w, c] = images.shape;
  const moved = Array.from({ length: n }, (_, i) => {
    const [top, left] = [Math.max(0, down[i]), Math.max(0, right[i])];
    const [height, width] = [h - Math.abs(down[i]), w - Math.abs(right[i])];
    const seen = tf.slice4d(images, [i, top, left, 0], [1, height, width, c]);
    const above = Math.max(0, -down[i]);
    const before = Math.max(0, -right[i]);
    return tf.pad4d(seen, [
      [0, 0],
      [above, h - height - above],
      [before, w - width - before],
      [0, 0],
    ]);
  });
  return tf.concat(moved, 0);
}

/** Zeros in a square of `ratio` times the side around (row, column), as far as it lies inside. */
export function cutout(images: Tensor4D, ratio: number, row: ArrayLike<number>, column: ArrayLike<number>): Tensor4D {
  const [n, h, w] = images.shape;
  const [height, width] = [cut(h, ratio), cut(w, ratio)];
  const mask = new Float32Array(n * h * w).fill(1);
  for (let k = 0; k < n; k++) {
    // Rows outside the image fall on its edge, as the original clamps them.
    for (let i = 0; i < height; i++) {
      const y = clamp(row[k] + i - Math.floor(height / 2), h);
      for (let j = 0; j < width; j++) mask[(k * h + y) * w + clamp(column[k] + j - Math.floor(width / 2), w)] = 0;
    }
  }
  return images.mul(tf.tensor4d(mask, [n, h, w, 1]));
}

const cut = (side: number, ratio: number): number => Math.floor(side * ratio + 0.5);
const clamp = (at: number, side: number): number => Math.min(side - 1, Math.max(0, at));

export interface AugmentOptions {
  /** Chance of each of the three policies, one coin for the whole batch. */
  probability: number;
  /** Side of the cut-out square relative to the image's. */
  cutout: number;
}

/** As MAETok's authors augment for the discriminator, and, stronger, for its consistency. */
export const WEAK: AugmentOptions = { probability: 0.5, cutout: 0.2 };
export const STRONG: AugmentOptions = { probability: 1, cutout: 0.5 };

/** Colour, translation by up to an eighth, and cut-out. The same stream changes two batches alike. */
export function augment(
  images: Tensor4D,
  random: RandomNumbers,
  { probability, cutout: ratio }: AugmentOptions,
): Tensor4D {
  const [n, h, w] = images.shape;
  const [colour, moved, cutOut] = random.for('coins').uniforms(3);
  const uniforms = (name: string): Float32Array => random.for(name).uniforms(n);
  const integers = (name: string, from: number, to: number): Int32Array =>
    random
      .for(name)
      .integers(n, to - from + 1)
      .map(x => x + from);
  return tf.tidy(() => {
    let x: Tensor = images;
    if (colour < probability) {
      x = brightness(x, uniforms('brightness'));
      x = saturation(x, uniforms('saturation'));
      x = contrast(x, uniforms('contrast'));
    }
    if (moved < probability) {
      const [down, right] = [Math.floor(h / 8 + 0.5), Math.floor(w / 8 + 0.5)];
      x = translate(x as Tensor4D, integers('down', -down, down), integers('right', -right, right));
    }
    if (cutOut < probability) {
      const last = (side: number): number => side - (cut(side, ratio) % 2);
      x = cutout(x as Tensor4D, ratio, integers('row', 0, last(h)), integers('column', 0, last(w)));
    }
    return x.clone() as Tensor4D;
  });
}
