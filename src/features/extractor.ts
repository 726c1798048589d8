import type { Tensor2D, Tensor4D } from '../engine/index.js';
/** Sets of features that an extractor may give. Every one gives `pooled`; the others are Inception's. */
export type FeatureSet = 'pooled' | 'spatial' | 'logits';

export type FeatureTensors = { pooled: Tensor2D } & Partial<Record<FeatureSet, Tensor2D>>;

/** A frozen network that turns images into feature vectors, for probes and distances between distributions. */
export interface FeatureExtractor {
  /** Always part of the name of what is measured with it. */
  readonly name: string;
  /** Only distances between features of the FID Inception network may be called FID. */
  readonly isInception: boolean;
  /** What a protocol card says of how images are fed to it. */
  readonly input: string;
  /** sha256 of the weights, for protocol cards; empty where there are none. */
  readonly digest: string;
  /** Numbers per image, by set. */
  readonly widths: { pooled: number } & Partial<Record<FeatureSet, number>>;
  /** 8-bit pixels as floats, [n, h, w, 3] in 0 … 255, of any size → features [n, width], which the caller owns. */
  features(pixels: Tensor4D): Promise<FeatureTensors>;
  dispose(): void;
}
