import { tf, type Tensor4D } from '../engine/index.js';
import { IMAGENET } from '../vision/index.js';

const { mean: MEAN, std: STD } = IMAGENET;

/** Images in [−1, 1] → with ImageNet's normalisation. */
export const toImagenet = (images: Tensor4D): Tensor4D =>
  tf.tidy(() => images.mul(0.5).add(0.5).sub(MEAN).div<Tensor4D>(STD));

/** Its inverse. */
export const fromImagenet = (images: Tensor4D): Tensor4D =>
  tf.tidy(() => images.mul(STD).add(MEAN).mul(2).sub<Tensor4D>(1));
