import type { Tensor, Tensor4D } from '../../engine/index.js';
import type { Params } from '../../nn/index.js';

/** A discriminator's judgement of a batch. */
export interface Judgement {
  /** Larger is more real; one row per image. */
  logits: Tensor;
  /** New running statistics and power-iteration vectors, in training. */
  buffers: Params;
}

export interface JudgeOptions {
  /** Use the batch's statistics and give new buffers. */
  train: boolean;
}

/** images [n, h, w, 3] in [−1, 1] → logits. */
export type Discriminator = (params: Params, images: Tensor4D, options: JudgeOptions) => Judgement;
