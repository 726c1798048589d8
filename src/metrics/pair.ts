import { toBytes } from '../io/index.js';

/** An image and its reconstruction: [height, width, 3] in [−1, 1]; the reconstruction may leave that range. */
export interface ImagePair {
  height: number;
  width: number;
  truth: Float32Array;
  reconstruction: Float32Array;
}

/** A distance between an image and its reconstruction in one published way of computing it. */
export interface PairMetric {
  name: string;
  variant: string;
  describe: string;
  of(pair: ImagePair): number;
}

/** [−1, 1] → [0, 1], unquantised. */
export const unitRange = (values: Float32Array): Float64Array => Float64Array.from(values, x => (x + 1) / 2);

/** [−1, 1] → [0, 1] by way of 8 bits. */
export const byteRange = (values: Float32Array): Float64Array => Float64Array.from(toBytes(values), x => x / 255);

/** Values limited to [−1, 1]. */
export const clamped = (values: Float32Array): Float64Array =>
  Float64Array.from(values, x => Math.min(1, Math.max(-1, x)));
