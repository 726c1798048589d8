import type { Scalar } from '@tensorflow/tfjs';

/** What a model's loss function gives: the scalar to differentiate, and numbers to log (in the loss's own units). */
export interface LossResult {
  loss: Scalar;
  metrics: Record<string, number | Scalar>;
}
