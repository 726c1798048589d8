export { hasKernels } from './compiled.js';
export { describeEngine, queryGpu } from './describe.js';
export { einsum } from './einsum.js';
export {
  cholesky,
  eigenvalues,
  eigh,
  hostMatMul,
  linearAlgebra,
  NotPositiveDefiniteError,
  rowProducts,
  triangularSolve,
  type FloatRows,
} from './linalg/index.js';
export { valueAndGradients, valueAndGradientsWithPauses } from './gradients.js';
export {
  attended,
  attendedGradient,
  biasedActivation,
  biasedActivationGradient,
  columnSums,
  crossEntropyGradient,
  gatedSum,
  gatedSumGradient,
  groupNormalised,
  inputOperand,
  normalised,
  normalisedGradient,
  nearestRows,
  operand,
  operandMatMul,
  reshaped,
  rmsNormalised,
  splitHeads,
  splitHeadsGradient,
  wantsGradient,
  weightOperand,
  type FusedActivation,
  type GroupNormOptions,
  type NormOptions,
} from './kernels.js';
export { matMul } from './matmul.js';
export { ENGINES, type EngineKind, type Precision } from './names.js';
export { openOnnx, type OnnxNetwork } from './onnx.js';
export { installedProducts } from './products.js';
export { RandomStream } from './random.js';
export { engineSettings } from './options.js';
export { ScatterOnEngine, type ScatterSums } from './scatter.js';
export { measureSpeed } from './speed.js';
export { startEngine, startEngineFor } from './start.js';
export { tensorArray } from './tensor-array.js';
export { tf, type Scalar, type Tensor, type Tensor1D, type Tensor2D, type Tensor3D, type Tensor4D } from './tf.js';
export { applyAdam, applyMomentum, moveTowards, sumOfSquares, type MomentumTerm } from './updates.js';
export { variable, type Variable } from './variables.js';
export { suitsWinograd, winograd } from './winograd.js';
