import { createRequire } from 'node:module';
import type * as TensorFlow from '@tensorflow/tfjs';

/** The whole of TensorFlow.js as one CommonJS module: required, not imported, which would search its megabyte for names. */
export const tf = createRequire(import.meta.url)('@tensorflow/tfjs') as typeof TensorFlow;
export type { Scalar, Tensor, Tensor1D, Tensor2D, Tensor3D, Tensor4D } from '@tensorflow/tfjs';
