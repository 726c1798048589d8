export { einsum } from './einsum.js';
export {
  cholesky,
  eigh,
  linearAlgebra,
  NotPositiveDefiniteError,
  product,
  triangularSolve,
  type Eigen,
  type ProductShape,
} from './linalg/index.js';
export { matMul, type MatMulOptions } from './matmul.js';
export { runOp, type Attribute, type OpAttributes } from './native.js';
export { RandomStream } from './random.js';
export { startEngine, type EngineKind } from './start.js';
export { tf, type DataType, type Tensor, type Tensor1D, type Tensor2D, type Tensor3D, type Tensor4D } from './tf.js';
