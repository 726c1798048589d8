// The whole of TensorFlow.js as one CommonJS module: a default import is the one form in which Node sees every name.
import tfjs from '@tensorflow/tfjs';

export const tf = tfjs;
export type { Scalar, Tensor, Tensor1D, Tensor2D, Tensor3D, Tensor4D } from '@tensorflow/tfjs';
