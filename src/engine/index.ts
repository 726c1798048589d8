export { describeEngine, queryGpu, type EngineDescription } from './describe.js';
export { einsum } from './einsum.js';
export {
  cholesky,
  eigenvalues,
  eigh,
  linearAlgebra,
  NotPositiveDefiniteError,
  product,
  rowProducts,
  triangularSolve,
  type Eigen,
  type FloatRows,
  type ProductShape,
} from './linalg/index.js';
export { valueAndGradients, type ValueAndGradients } from './gradients.js';
export {
  biasedActivation,
  biasedActivationGradient,
  columnSums,
  gatedSum,
  gatedSumGradient,
  hasKernels,
  multiply,
  normalised,
  normalisedGradient,
  operand,
  reshaped,
  single,
  softmaxed,
  softmaxGradient,
  splitHeads,
  splitHeadsGradient,
  swapHeads,
  withoutKernels,
  type FusedActivation,
  type NormOptions,
} from './kernels.js';
export { matMul, type MatMulOptions } from './matmul.js';
export { openOnnx, type OnnxNetwork } from './onnx.js';
export { runOp, type Attribute, type OpAttributes } from './native.js';
export { RandomStream } from './random.js';
export { engineSettings } from './options.js';
export { measureSpeed, type Speed } from './speed.js';
export { ENGINES, ENGINE_NAMES, startEngine, type EngineKind } from './start.js';
export {
  tf,
  type DataType,
  type Scalar,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
} from './tf.js';
export { applyAdam, moveTowards, sumOfSquares, type AdamScalars, type AdamTerm } from './updates.js';
export { variable, type Variable } from './variables.js';
