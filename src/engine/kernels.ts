import { hasOwnProduct } from './compiled.js';
import { typeOf, usesBfloat16 } from './mixed-precision.js';
import { DTYPE, nativeBackend, onNative, runOp, type Handle, type NativeDType, type OpAttributes } from './native.js';
import { productAttributes, suitsOwnProduct, type ProductTypes } from './matrix-product.js';
import { tf, type Tensor, type Tensor2D } from './tf.js';
/*
 * The kernels of native/: what a transformer does between its products, each in one pass over memory. They work on
 * operands: float32 tensors, or, under `--precision bf16`, bfloat16 ones, which TensorFlow.js has no name for. Such a
 * tensor calls itself float32; only the functions of this file can be given it, TensorFlow refuses it elsewhere.
 */

/** Runs an op whose results may be bfloat16. */
export function run(name: string, inputs: Tensor[], attributes: OpAttributes, outputs = 1): Tensor[] {
  return onNative(scope =>
    scope.op(name, scope.ids(inputs), attributes, outputs).map((handle: Handle) => {
      const tensor = scope.tensor({ ...handle, dtype: DTYPE.float32 });
      if (handle.dtype === DTYPE.bfloat16) nativeBackend()!.tensorMap.get(tensor.dataId)!.dtype = DTYPE.bfloat16;
      return tensor;
    }),
  );
}

const cast = (x: Tensor, to: NativeDType): Tensor =>
  run('Cast', [x], { SrcT: { type: typeOf(x) }, DstT: { type: to } })[0];

/** x as products take it: rounded to bfloat16 under `--precision bf16`, else as it is. */
export const operand = (x: Tensor): Tensor => (usesBfloat16(x, x) && typeOf(x) === 'float32' ? cast(x, 'bfloat16') : x);

/** A weight as products take it: our product rounds it as it packs it; else it is rounded here, once for all of its uses. */
export const weightOperand = (x: Tensor): Tensor => (hasOwnProduct() ? x : operand(x));

/** Whether what is computed now will be differentiated. */
export const wantsGradient = (): boolean => tf.engine().state.gradientDepth > 0;

/** What enters one product, and is kept where a gradient is wanted, for which it takes less memory rounded. */
export const inputOperand = (x: Tensor): Tensor => (hasOwnProduct() && !wantsGradient() ? x : operand(x));

/** An operand in float32 again. */
const single = (x: Tensor): Tensor => (typeOf(x) === 'bfloat16' ? cast(x, 'float32') : x);

export interface MultiplyOptions {
  transposeA?: boolean;
  transposeB?: boolean;
  /** Default: the type of operands. */
  to?: 'float32';
  /** Added to every row, [n]. */
  bias?: Tensor;
  /** Of the sums, the bias among them. */
  activation?: FusedActivation;
}

/** f(a · b + bias) of [m, k] and [k, n], or over equal leading axes; an operand, unless asked for in float32. */
export function operandMatMul(
  a: Tensor,
  b: Tensor,
  { transposeA = false, transposeB = false, to, bias, activation = 'none' }: MultiplyOptions = {},
): Tensor {
  if (suitsOwnProduct(a, b, { transposeA, transposeB })) {
    const rounded = usesBfloat16(a, b);
    const types: ProductTypes = { a: typeOf(a), b: typeOf(b), out: to ?? (rounded ? 'bfloat16' : 'float32') };
    const attributes = productAttributes(types, { transposeA, transposeB, rounded, bias: bias !== undefined });
    const all: OpAttributes = { ...attributes, activation: { int: ACTIVATIONS[activation] } };
    return run('MaetokMatrixProduct', bias ? [a, b, bias] : [a, b], all)[0];
  }
  const [x, y] = [operand(a), operand(b)];
  const type = typeOf(x);
  const T = { T: { type } } as const;
  // For float32 never `MatMul`: under a profiler, whose signals interrupt it, oneDNN's code behind it corrupts the heap
  // (seen in TensorFlow 2.21: a few steps of training under `node --cpu-prof`). In bfloat16 it is other code.
  const product =
    x.rank === 2 && type === 'bfloat16'
      ? run('MatMul', [x, y], { ...T, transpose_a: { bool: transposeA }, transpose_b: { bool: transposeB } })[0]
      : run('BatchMatMulV2', [x, y], { ...T, adj_x: { bool: transposeA }, adj_y: { bool: transposeB } })[0];
  if (bias || activation !== 'none') return biasedActivation(product, bias ?? tf.zeros([0]), activation, to);
  return to ? single(product) : product;
}

/** An operand under another shape. */
export function reshaped(x: Tensor, shape: number[]): Tensor {
  if (typeOf(x) === 'float32') return x.reshape(shape);
  return tf.tidy(
    () => run('Reshape', [x, tf.tensor1d(shape, 'int32')], { T: { type: 'bfloat16' }, Tshape: { type: 'int32' } })[0],
  );
}

/** Numbers of the activations in native/layers.cc. */
const ACTIVATIONS = { none: 0, gelu: 1, geluTanh: 2, silu: 3 } as const;
export type FusedActivation = keyof typeof ACTIVATIONS;

const T = (x: Tensor): OpAttributes => ({ T: { type: typeOf(x) } });

/** f(x + bias) of an operand [..., c], bias [c] or [0]; in float32, or in x's own type. */
export function biasedActivation(x: Tensor, bias: Tensor, activation: FusedActivation, to?: 'float32'): Tensor {
  const attributes: OpAttributes = {
    ...T(x),
    Tout: { type: to ?? typeOf(x) },
    activation: { int: ACTIVATIONS[activation] },
  };
  return run('MaetokBiasedActivation', [x, bias], attributes)[0];
}

/** From dy: the value once more and dx, operands, and the bias's gradient [c] or [0]. */
export function biasedActivationGradient(
  dy: Tensor,
  x: Tensor,
  bias: Tensor,
  activation: FusedActivation,
): [y: Tensor, dx: Tensor, dBias: Tensor] {
  const attributes: OpAttributes = { ...T(x), G: { type: typeOf(dy) }, activation: { int: ACTIVATIONS[activation] } };
  return run('MaetokBiasedActivationGrad', [dy, x, bias], attributes, 3) as [Tensor, Tensor, Tensor];
}

/** Sums over all axes but the last of an operand, in float32. */
export const columnSums = (x: Tensor): Tensor => run('MaetokColumnSums', [x], T(x))[0];

/** x + y ∘ gate. x, y [n, ..., c]; gate with c numbers for all rows, or c for each n. */
export const gatedSum = (x: Tensor, y: Tensor, gate: Tensor): Tensor => run('MaetokGatedSum', [x, y, gate], {})[0];

/** dy and the gate's gradient. */
export const gatedSumGradient = (dz: Tensor, y: Tensor, gate: Tensor): [dy: Tensor, dGate: Tensor] =>
  run('MaetokGatedSumGrad', [dz, y, gate], {}, 2) as [Tensor, Tensor];

export interface NormOptions {
  eps: number;
  /** Added to every gain. */
  offset: number;
  /** Where given, gain and shift are [n, last, c] and serve the last tokens of x [n, t, c]; the others have none. */
  last?: number;
}

/** normal(x) ∘ (offset + gain) + shift over the last axis; gain and shift as `gatedSum` has its gate, or [0]. */
export const normalised = (
  x: Tensor,
  gain: Tensor,
  shift: Tensor,
  { eps, offset, last = 0 }: NormOptions,
): [y: Tensor, statistics: Tensor] =>
  run(
    'MaetokLayerNorm',
    [x, gain, shift],
    { Tout: { type: 'float32' }, eps: { float: eps }, offset: { float: offset }, last: { int: last } },
    2,
  ) as [Tensor, Tensor];

/** Gradients of x, gain and shift. */
export const normalisedGradient = (
  dy: Tensor,
  x: Tensor,
  statistics: Tensor,
  gain: Tensor,
  { offset, last = 0 }: NormOptions,
): [dx: Tensor, dGain: Tensor, dShift: Tensor] => {
  const attributes: OpAttributes = { offset: { float: offset }, last: { int: last } };
  return run('MaetokLayerNormGrad', [dy, x, statistics, gain], attributes, 3) as [Tensor, Tensor, Tensor];
};

export interface GroupNormOptions {
  groups: number;
  eps: number;
  activation: FusedActivation;
}

/** f(normal(x) ∘ gain + shift) over the axes between and the channels of a group. x [n, ..., c]; gain, shift [c]. */
export const groupNormalised = (
  x: Tensor,
  gain: Tensor,
  shift: Tensor,
  { groups, eps, activation }: GroupNormOptions,
): Tensor =>
  run('MaetokGroupNorm', [x, gain, shift], {
    groups: { int: groups },
    eps: { float: eps },
    activation: { int: ACTIVATIONS[activation] },
  })[0];

/** f(x / √(mean of x² + eps) ∘ gain) over the last axis. x [..., c], gain [c]. */
export const rmsNormalised = (
  x: Tensor,
  gain: Tensor,
  { eps, activation }: { eps: number; activation: FusedActivation },
): Tensor => run('MaetokRmsNorm', [x, gain], { eps: { float: eps }, activation: { int: ACTIVATIONS[activation] } })[0];

/** Rotation tables [h or 1, t, d] each, or [0]. */
export interface Tables {
  cos: Tensor;
  sin: Tensor;
}

/** Operand [n, t, 3 h d] + bias → queries, keys (scaled and rotated) and values [n, h, t, d], operands. */
export function splitHeads(
  qkv: Tensor,
  bias: Tensor,
  { cos, sin }: Tables,
  { heads, scale }: { heads: number; scale: number },
): [q: Tensor, k: Tensor, v: Tensor] {
  const attributes: OpAttributes = { ...T(qkv), heads: { int: heads }, scale: { float: scale } };
  return run('MaetokSplitHeads', [qkv, bias, cos, sin], attributes, 3) as [Tensor, Tensor, Tensor];
}

/** From the gradients of q, k and v: of qkv (an operand), of its bias, and of the rotation's angles, in their shape. */
export function splitHeadsGradient(
  [dq, dk, dv]: [dq: Tensor, dk: Tensor, dv: Tensor],
  [q, k]: [q: Tensor, k: Tensor],
  { cos, sin }: Tables,
  angles: Tensor,
  scale: number,
): [dqkv: Tensor, dBias: Tensor, dAngles: Tensor] {
  const attributes: OpAttributes = { ...T(dq), scale: { float: scale } };
  return run('MaetokSplitHeadsGrad', [dq, dk, dv, q, k, cos, sin, angles], attributes, 3) as [Tensor, Tensor, Tensor];
}

/** Operand [n, a, b, d] → [n, b, a, d]. */
const swapHeads = (x: Tensor): Tensor => run('MaetokSwapHeads', [x], T(x))[0];

/** softmax(q kᵀ) v of operands [n, h, t, d] → [n, t, h, d]. */
export function attended(q: Tensor, k: Tensor, v: Tensor): Tensor {
  if (hasOwnProduct()) return run('MaetokAttend', [q, k, v], T(q))[0];
  return swapHeads(operandMatMul(softmaxed(operandMatMul(q, k, { transposeB: true })), v));
}

/** From its gradient [n, t, h, d], an operand: those of q, k and v. */
export function attendedGradient(
  dMixed: Tensor,
  q: Tensor,
  k: Tensor,
  v: Tensor,
): [dq: Tensor, dk: Tensor, dv: Tensor] {
  if (hasOwnProduct()) return run('MaetokAttendGrad', [dMixed, q, k, v], T(q), 3) as [Tensor, Tensor, Tensor];
  const weights = softmaxed(operandMatMul(q, k, { transposeB: true }));
  const dHeads = swapHeads(dMixed);
  const dv = operandMatMul(weights, dHeads, { transposeA: true });
  const ds = softmaxGradient(weights, operandMatMul(dHeads, v, { transposeB: true }));
  return [operandMatMul(ds, k), operandMatMul(ds, q, { transposeA: true }), dv];
}

/** Softmax of an operand over its last axis. */
const softmaxed = (x: Tensor): Tensor => run('MaetokSoftmax', [x], T(x))[0];

/** The gradient of its input. */
const softmaxGradient = (p: Tensor, dp: Tensor): Tensor => run('MaetokSoftmaxGrad', [p, dp], T(p))[0];

/**
 * The gradient of several heads' cross-entropy, (softmax(logits + bias) − truth) · scale; logits [n, heads · classes], bias
 * [heads · classes], labels [n].
 */
export const crossEntropyGradient = (
  logits: Tensor,
  bias: Tensor,
  labels: Int32Array,
  { heads, scale }: { heads: number; scale: number },
): Tensor =>
  tf.tidy(
    () =>
      run('MaetokCrossEntropyGrad', [logits, bias, tf.tensor1d(labels, 'int32'), tf.scalar(scale)], {
        heads: { int: heads },
      })[0],
  );

/** Kernels that read, or change, many tensors at once, without a copy. */
export interface InPlace {
  /** How many tensors share the memory of this one. */
  holders(x: Tensor): number;
  /** AdamW on all parameters; scalars [6] as `updates.ts` says. */
  adam(p: Tensor[], m: Tensor[], v: Tensor[], gradients: Tensor[], scalars: Tensor): void;
  /** SGD with momentum; as `applyMomentum` has it, but every factor given. */
  momentum(p: Tensor, v: Tensor, gradient: Tensor, rate: Tensor, scale: Tensor, momentum: number): void;
  /** x ← x + share (target − x). */
  move(xs: Tensor[], targets: Tensor[], share: Tensor): void;
  /** Σ x² over all entries, a scalar. */
  squares(xs: Tensor[]): Tensor;
}

/** AdamW on all parameters at once, in place; scalars [6] as `updates.ts` says. */
export function adamInPlace(p: Tensor[], m: Tensor[], v: Tensor[], g: Tensor[], scalars: Tensor): void {
  run('MaetokAdam', [...p, ...m, ...v, ...g, scalars], { N: { int: p.length } }, 0);
}

/** SGD with momentum in place; p, v, gradient [..., c], rate and scale [c]. */
export function momentumInPlace(
  p: Tensor,
  v: Tensor,
  gradient: Tensor,
  rate: Tensor,
  scale: Tensor,
  momentum: number,
): void {
  tf.tidy(() => void run('MaetokMomentum', [p, v, gradient, rate, scale, tf.scalar(momentum)], {}, 0));
}

/** x ← x + share (target − x) on all of x at once, in place. */
export function moveInPlace(x: Tensor[], targets: Tensor[], share: Tensor): void {
  run('MaetokMoveTowards', [...x, ...targets, share], { N: { int: x.length } }, 0);
}

/** Σ x² over all entries of all tensors, a scalar. */
export const squaresOf = (x: Tensor[]): Tensor => run('MaetokSumOfSquares', x, { N: { int: x.length } })[0];

/** Vector units that `nearestRows` may use, narrow to wide; those that the processor lacks are left alone. */
export const UNITS = { avx2: 0, avx512: 1, amx: 2 } as const;

export interface NearestOptions {
  /** Of x, those that are asked for. */
  first: number;
  last: number;
  /** Fewer than x has rows. */
  neighbours: number;
  units?: keyof typeof UNITS;
}

/** Of some rows of x [n, c] the nearest other rows and their distances, exactly: [last − first, neighbours] each. */
export function nearestRows(
  x: Tensor2D,
  { first, last, neighbours, units = 'amx' }: NearestOptions,
): [rows: Tensor, distances: Tensor] {
  const attributes: OpAttributes = {
    first: { int: first },
    last: { int: last },
    neighbours: { int: neighbours },
    units: { int: UNITS[units] },
  };
  return runOp('MaetokNearest', [x], attributes, 2) as [Tensor, Tensor];
}

/** How many tensors share the memory of this one. */
export const holders = (x: Tensor): number => nativeBackend()!.tensorMap.get(x.dataId)!.refCount;
