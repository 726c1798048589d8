import { tf, type Tensor4D } from '../engine/index.js';
import { bicubicAntialiased, bilinearAntialiased, resample } from '../nn/index.js';
import type { VisionConfig } from './config.js';

const AXIS = { bicubic: bicubicAntialiased, bilinear: bilinearAntialiased };

/**
 * Images [n, h, w, 3] in [−1, 1] as the network's own preprocessing hands them on: resized to `size` (default the
 * config's), antialiased as Pillow does it, in [0, 1], minus the mean over the standard deviation of its channels.
 */
export function preprocessed({ input }: VisionConfig, images: Tensor4D, size = input.size): Tensor4D {
  return tf.tidy(() => {
    const [, height, width] = images.shape;
    const sized = height === size && width === size ? images : resample(images, size, size, AXIS[input.resample]);
    const unit = sized.mul(0.5).add(0.5);
    return unit.sub(tf.tensor1d([...input.mean])).div(tf.tensor1d([...input.std]));
  });
}
