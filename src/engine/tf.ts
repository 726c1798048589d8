import library from '@tensorflow/tfjs';

/** TensorFlow.js: its core and its operations; the build leaves out the layers, data sets and file formats it comes with. */
export const tf = library;
export type { Scalar, Tensor, Tensor1D, Tensor2D, Tensor3D, Tensor4D } from '@tensorflow/tfjs';
