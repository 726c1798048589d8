import type { Tensor2D, Tensor4D } from '../engine/index.js';

/** A frozen network that turns images into feature vectors, for probes and distances between distributions. */
export interface FeatureExtractor {
  /** Always part of the name of what is measured with it. */
  readonly name: string;
  /** Numbers per image. */
  readonly width: number;
  /** sha256 of the weights, for protocol cards. */
  readonly digest: string;
  /** images [n, h, w, 3] in [−1, 1] → features [n, width], which the caller owns. */
  features(images: Tensor4D): Tensor2D;
  dispose(): void;
}
