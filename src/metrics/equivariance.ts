import { tf, type Tensor, type Tensor4D } from '../engine/index.js';
import { bicubicAntialiased, bilinear, bilinearAntialiased, resample, type AxisWeights } from '../nn/index.js';

/*
 * Whether transforming an image and encoding it commute. EQ-VAE (arXiv 2502.09509) trains for that, with rotations by
 * quarter turns and with bilinear scaling of images and latents alike.
 */

/** A transformation of images and the same one of latents on a grid, [n, h, w, c] both. */
export interface Transformation {
  /** `degrees=90`, `scale=0.5 bilinear`. */
  name: string;
  kind: 'rotation' | 'scale';
  /** Side of an image after it, as a part of what it was. */
  scale: number;
  ofImages: (x: Tensor4D) => Tensor4D;
  ofLatents: (x: Tensor4D) => Tensor4D;
}

/** Quarter turns, anticlockwise. */
export const ROTATIONS: readonly Transformation[] = [1, 2, 3].map(turns => {
  const turn = (x: Tensor4D): Tensor4D => tf.tidy(() => turned(x, turns));
  return { name: `degrees=${turns * 90}`, kind: 'rotation', scale: 1, ofImages: turn, ofLatents: turn };
});

function turned(x: Tensor4D, turns: number): Tensor4D {
  if (turns === 2) return tf.reverse(x, [1, 2]);
  return tf.reverse<Tensor4D>(tf.transpose(x, [0, 2, 1, 3]), turns === 1 ? 1 : 2);
}

/** As published: no antialiasing on either side. And with it, so that the difference is not that of aliasing. */
const FILTERS: [name: string, images: AxisWeights, latents: AxisWeights][] = [
  ['bilinear', bilinear, bilinear],
  ['antialiased', bicubicAntialiased, bilinearAntialiased],
];

export const SCALINGS: readonly Transformation[] = FILTERS.flatMap(([name, images, latents]) =>
  [0.25, 0.5, 0.75].map(scale => {
    const by =
      (weights: AxisWeights) =>
      (x: Tensor4D): Tensor4D =>
        resample(x, Math.round(x.shape[1] * scale), Math.round(x.shape[2] * scale), weights);
    return { name: `scale=${scale} ${name}`, kind: 'scale', scale, ofImages: by(images), ofLatents: by(latents) };
  }),
);

/** Sums over the places of two tensors [n, h, w, c]. */
export interface DepartureSums {
  places: number;
  /** Σ a, Σ b, Σ a², Σ b² and Σ (a − b)² of each channel, [5, c]. */
  sums: Float32Array;
}

/** Those of a = Enc(T x) and b = T Enc(x), which stay the caller's. */
export async function departureSums(a: Tensor4D, b: Tensor4D): Promise<DepartureSums> {
  const stacked = tf.tidy(() => {
    const over = (x: Tensor): Tensor => x.sum([0, 1, 2]);
    return tf.stack([over(a), over(b), over(a.square()), over(b.square()), over(a.sub(b).square())]);
  });
  const sums = (await stacked.data()) as Float32Array;
  stacked.dispose();
  return { places: a.size / a.shape[3], sums };
}

/** How far Enc ∘ T and T ∘ Enc are apart, gathered over batches. */
export interface EquivarianceError {
  add(part: DepartureSums): void;
  /**
   * Mean over channels of 1 − Lin's concordance (1989), Σ (a − b)² / (Σ (a − ā)² + Σ (b − b̄)² + N (ā − b̄)²): 0 where
   * they are equal, 1 where they have nothing in common, 2 at most. Channels that never change do not count.
   */
  value(): number;
}

/** Sums per channel over everything that was added. */
const SUMS = 5;

export function equivarianceError(): EquivarianceError {
  let count = 0;
  let sums: Float64Array[] = [];
  return {
    add({ places, sums: part }) {
      const channels = part.length / SUMS;
      if (sums.length === 0) sums = Array.from({ length: SUMS }, () => new Float64Array(channels));
      sums.forEach((sum, i) => sum.forEach((_, c) => (sum[c] += part[i * channels + c])));
      count += places;
    },
    value() {
      const [a, b, aa, bb, apart] = sums;
      // With the means' distance the three terms are Σ a² + Σ b² − 2 N ā b̄.
      const spread = aa.map((_, c) => aa[c] + bb[c] - (2 * a[c] * b[c]) / count);
      const counted = [...spread.keys()].filter(c => spread[c] > ROUNDING * (aa[c] + bb[c]));
      return counted.reduce((sum, c) => sum + apart[c] / spread[c], 0) / counted.length;
    },
  };
}

/** A spread of this part of the squares is one of rounding in float32. */
const ROUNDING = 1e-6;
