import { matMul, tf, type Tensor } from '../../engine/index.js';
import type { RowSample } from '../rows.js';
import type { Accumulator } from './pass.js';

/** Which positions of each image show the foreground: 1 or 0, [images, t]. */
export interface Masks {
  tokens: number;
  data: Uint8Array;
}

export const maskOf = ({ tokens, data }: Masks, image: number): Uint8Array =>
  data.subarray(image * tokens, (image + 1) * tokens);

/** Numbers of the images of which some position shows the foreground. */
export const withForeground = (masks: Masks, images: Int32Array): Int32Array =>
  images.filter(image => maskOf(masks, image).includes(1));

/** The mean token of the images with these numbers (ascending), over the foreground where there are masks. */
export function imageMeans(images: Int32Array, channels: number, masks?: Masks): Accumulator & { means(): RowSample } {
  const data = new Float32Array(images.length * channels);
  let next = 0;
  return {
    async add({ first, z }) {
      const [n, t] = z.shape;
      const means = tf.tidy((): Tensor => {
        if (!masks) return z.mean(1);
        const weights = Array.from({ length: n }, (_, i) => shares(maskOf(masks, first + i)));
        return matMul(tf.tensor3d(joined(weights), [n, 1, t]), z);
      });
      const values = await means.data<'float32'>();
      means.dispose();
      while (images[next] < first) next++;
      for (; next < images.length && images[next] < first + n; next++) {
        const row = images[next] - first;
        data.set(values.subarray(row * channels, (row + 1) * channels), next * channels);
      }
    },
    merge: communicator => communicator.allReduceSum(data),
    means: () => ({ rows: images.length, width: channels, data }),
  };
}

const shares = (mask: Uint8Array): Float32Array => {
  const count = mask.reduce((sum, value) => sum + value, 0);
  return Float32Array.from(mask, value => value / Math.max(1, count));
};

function joined(rows: Float32Array[]): Float32Array {
  const out = new Float32Array(rows.length * rows[0].length);
  rows.forEach((row, i) => out.set(row, i * row.length));
  return out;
}
