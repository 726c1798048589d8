import type { NodeJSKernelBackend } from '@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js';
import { tf, type Tensor } from './tf.js';
/** TensorFlow's numbers for its dtypes (tensorflow/core/framework/types.proto). */
export const DTYPE = { float32: 1, float64: 2, int32: 3, uint8: 4, int64: 9, bool: 10, bfloat16: 14 } as const;
export type NativeDType = keyof typeof DTYPE;

/** An attribute of a TensorFlow op; its kind must be said, because JavaScript has one type of number. */
export type Attribute =
  | { type: NativeDType }
  | { int: number | number[] }
  | { float: number | number[] }
  | { bool: boolean | boolean[] }
  | { string: string }
  | { shape: number[] };

/** A tensor of the binding: any dtype of TensorFlow's, also those that TensorFlow.js has no name for. */
export interface Handle {
  id: number;
  shape: number[];
  dtype: number;
}

/** The part of tfjs-node's binding that we use. */
interface Binding {
  TF_Version: string;
  isUsingGpuDevice(): boolean;
  createTensor(shape: number[], dtype: number, values: Int32Array): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): { buffer: ArrayBuffer };
  executeOp(name: string, attributes: object[], inputs: number[], outputs: number): Handle[];
  TF_ATTR_STRING: number;
  TF_ATTR_INT: number;
  TF_ATTR_FLOAT: number;
  TF_ATTR_BOOL: number;
  TF_ATTR_TYPE: number;
  TF_ATTR_SHAPE: number;
}

/** tfjs-node's backend; its private parts that running an op by name needs are typed here. */
interface NativeBackend {
  binding: Binding;
  getInputTensorIds(tensors: Tensor[]): number[];
  createOutputTensor(handle: Handle): Tensor;
  /** Bookkeeping of each tensor's memory. */
  tensorMap: Map<object, { dtype: number; refCount: number }>;
}

/** The running TensorFlow, or undefined on WASM and JavaScript. */
export function nativeBackend(): NativeBackend | undefined {
  return tf.getBackend() === 'tensorflow'
    ? (tf.backend() as unknown as NodeJSKernelBackend as unknown as NativeBackend)
    : undefined;
}

export type OpAttributes = Record<string, Attribute>;

/** Runs ops by name on handles; every handle it made is freed with it, save those given out as tensors. */
export class NativeScope {
  private readonly made = new Set<number>();

  constructor(private readonly backend: NativeBackend) {}

  op(name: string, inputs: number[], attributes: OpAttributes, outputs = 1): Handle[] {
    const { binding } = this.backend;
    const handles = binding.executeOp(name, encodeAttributes(binding, attributes), inputs, outputs);
    for (const { id } of handles) this.made.add(id);
    return handles;
  }

  ids(tensors: Tensor[]): number[] {
    return this.backend.getInputTensorIds(tensors);
  }

  /** Hands a handle over to TensorFlow.js's bookkeeping, `tidy` included. */
  tensor(handle: Handle): Tensor {
    this.made.delete(handle.id);
    return this.backend.createOutputTensor(handle);
  }

  /** Hands a handle out as it is; its holder frees it with `freeHandle`. */
  keep(handle: Handle): number {
    this.made.delete(handle.id);
    return handle.id;
  }

  /** float64 numbers as a handle: the binding knows no such arrays, so they go in as the bits of int64. */
  float64(values: Float64Array, shape: number[]): number {
    const bits = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
    const id = this.backend.binding.createTensor(shape, DTYPE.int64, bits);
    this.made.add(id);
    return this.op('Bitcast', [id], { T: { type: 'int64' }, type: { type: 'float64' } })[0].id;
  }

  readFloat64({ id }: Handle): Float64Array {
    const [bits] = this.op('Bitcast', [id], { T: { type: 'float64' }, type: { type: 'int64' } });
    return new Float64Array(this.backend.binding.tensorDataSync(bits.id).buffer);
  }

  end(): void {
    for (const id of this.made) this.backend.binding.deleteTensor(id);
    this.made.clear();
  }
}

/** Runs `body` on the native engine and frees what it made. @throws where another engine runs. */
export function onNative<T>(body: (scope: NativeScope) => T): T {
  const backend = nativeBackend();
  if (!backend) throw new Error('this needs the native engine');
  const scope = new NativeScope(backend);
  try {
    return body(scope);
  } finally {
    scope.end();
  }
}

/** Frees a handle that outlived its scope. */
export function freeHandle(id: number): void {
  nativeBackend()?.binding.deleteTensor(id);
}

/**
 * Runs any TensorFlow op by its name, native engine only; no gradient. Attributes say their kind:
 * `runOp('SelfAdjointEigV2', [a], { T: { type: 'float32' }, compute_v: { bool: true } }, 2)`.
 */
export function runOp(name: string, inputs: Tensor[], attributes: OpAttributes, outputs = 1): Tensor[] {
  return onNative(scope => scope.op(name, scope.ids(inputs), attributes, outputs).map(out => scope.tensor(out)));
}

function encodeAttributes(binding: Binding, attributes: OpAttributes): object[] {
  return Object.entries(attributes).map(([name, attribute]) => {
    if ('type' in attribute) return { name, type: binding.TF_ATTR_TYPE, value: DTYPE[attribute.type] };
    if ('int' in attribute) return { name, type: binding.TF_ATTR_INT, value: attribute.int };
    if ('float' in attribute) return { name, type: binding.TF_ATTR_FLOAT, value: attribute.float };
    if ('bool' in attribute) return { name, type: binding.TF_ATTR_BOOL, value: attribute.bool };
    if ('string' in attribute) return { name, type: binding.TF_ATTR_STRING, value: attribute.string };
    return { name, type: binding.TF_ATTR_SHAPE, value: attribute.shape };
  });
}
