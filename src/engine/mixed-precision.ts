import { DTYPE, nativeBackend, onNative, type NativeDType } from './native.js';
import { engineSettings } from './options.js';
import { productAttributes, suitsOwnProduct } from './matrix-product.js';
import { tf, type Tensor } from './tf.js';
const TO_BFLOAT16 = { SrcT: { type: 'float32' }, DstT: { type: 'bfloat16' } } as const;
const TO_FLOAT32 = { SrcT: { type: 'bfloat16' }, DstT: { type: 'float32' } } as const;

/** Whether products of these operands run in bfloat16: asked for, on an engine that has it. WASM and JS have not. */
export function usesBfloat16(a: Tensor, b: Tensor): boolean {
  return (
    engineSettings().precision === 'bf16' &&
    a.dtype === 'float32' &&
    b.dtype === 'float32' &&
    nativeBackend() !== undefined
  );
}

/**
 * The product of two float32 tensors with equal leading axes, both rounded to bfloat16 first; float32 result. Both
 * products of the gradient are computed the same way. TensorFlow.js has no such dtype: it stays inside one kernel.
 */
export function bfloat16Product(a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): Tensor {
  const withGradient = tf.customGrad((...args) => {
    const [x, y, save] = args as unknown as [Tensor, Tensor, (saved: Tensor[]) => void];
    save([x, y]);
    return {
      value: castAndMultiply(x, y, transposeA, transposeB),
      gradFunc: (dz: Tensor, saved: Tensor[]) => gradients(dz, saved[0], saved[1], transposeA, transposeB),
    };
  });
  return withGradient(a, b);
}

/** dA and dB of Z = op(A) op(B), for each pair of transposes. */
function gradients(dz: Tensor, a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): [Tensor, Tensor] {
  return [
    transposeA ? bfloat16Product(b, dz, transposeB, true) : bfloat16Product(dz, b, false, !transposeB),
    transposeB ? bfloat16Product(dz, a, true, transposeA) : bfloat16Product(a, dz, !transposeA, false),
  ];
}

function castAndMultiply(a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): Tensor {
  return onNative(scope => {
    const ids = scope.ids([a, b]);
    if (suitsOwnProduct(a, b, { transposeA, transposeB })) {
      const types = { a: typeOf(a), b: typeOf(b), out: 'float32' } as const;
      const attributes = productAttributes(types, { transposeA, transposeB, rounded: true });
      return scope.tensor(scope.op('MaetokMatrixProduct', ids, attributes)[0]);
    }
    // A weight may have been rounded before, once for many products.
    const inputs = [a, b].map((x, i) => (isRounded(x) ? ids[i] : scope.op('Cast', [ids[i]], TO_BFLOAT16)[0].id));
    const T = { T: { type: 'bfloat16' } } as const;
    const [product] =
      a.rank === 2
        ? scope.op('MatMul', inputs, { ...T, transpose_a: { bool: transposeA }, transpose_b: { bool: transposeB } })
        : scope.op('BatchMatMulV2', inputs, { ...T, adj_x: { bool: transposeA }, adj_y: { bool: transposeB } });
    return scope.tensor(scope.op('Cast', [product.id], TO_FLOAT32)[0]);
  });
}

/** Whether TensorFlow holds this tensor in bfloat16, whatever TensorFlow.js calls it. */
const isRounded = (x: Tensor): boolean => nativeBackend()?.tensorMap.get(x.dataId)?.dtype === DTYPE.bfloat16;

/** TensorFlow's type of a tensor that may be rounded. */
export const typeOf = (x: Tensor): NativeDType => (isRounded(x) ? 'bfloat16' : 'float32');
