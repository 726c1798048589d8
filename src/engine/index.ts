export { einsum } from './einsum.js';
export { matMul, type MatMulOptions } from './matmul.js';
export { RandomStream } from './random.js';
export { startEngine, type EngineKind } from './start.js';
export { tf, type DataType, type Tensor, type Tensor1D, type Tensor2D, type Tensor3D, type Tensor4D } from './tf.js';
