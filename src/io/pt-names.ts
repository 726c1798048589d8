import { UserError } from '../base/index.js';
import { type DType } from './array.js';
import { Inert, Name, type PickleWorld } from './pickle.js';

/** Where a tensor's numbers lie: within a storage, which several tensors may share. */
export interface PtTensor {
  storage: PtStorage;
  dtype: DType;
  /** In elements. */
  offset: number;
  shape: number[];
  /** In elements; not negative. */
  strides: number[];
  /** PyTorch's negative bit: the tensor is what is stored times −1, as the imaginary part of a conjugate is. */
  negative: boolean;
}

export interface PtStorage {
  key: string;
  /** Its type in PyTorch's terms; absent for an untyped storage, whose tensors carry the type. */
  dtype: string | undefined;
  /** Bytes of one element; 1 where untyped. */
  elementBytes: number;
  /** Elements, or bytes where untyped. */
  length: number;
}

/** Recognised by identity of kind: a file cannot make one except through the functions below. */
export class TensorValue implements PtTensor {
  constructor(
    readonly storage: PtStorage,
    readonly dtype: DType,
    readonly offset: number,
    readonly shape: number[],
    readonly strides: number[],
    readonly negative: boolean,
  ) {}
}

/** A tensor of a kind that no array here can hold. */
export class UnreadTensor extends Inert {
  constructor(readonly kind: string) {
    super(kind, []);
  }
}

class StorageValue implements PtStorage {
  constructor(
    readonly key: string,
    readonly dtype: string | undefined,
    readonly elementBytes: number,
    readonly length: number,
  ) {}
}

/** What the typed storages hold, and the bytes of an element. */
const STORAGES: Record<string, [dtype: string | undefined, elementBytes: number]> = {
  FloatStorage: ['float32', 4],
  DoubleStorage: ['float64', 8],
  HalfStorage: ['float16', 2],
  BFloat16Storage: ['bfloat16', 2],
  LongStorage: ['int64', 8],
  IntStorage: ['int32', 4],
  ShortStorage: ['int16', 2],
  CharStorage: ['int8', 1],
  ByteStorage: ['uint8', 1],
  BoolStorage: ['bool', 1],
  ComplexFloatStorage: ['complex64', 8],
  ComplexDoubleStorage: ['complex128', 16],
  QInt8Storage: ['qint8', 1],
  QUInt8Storage: ['quint8', 1],
  QInt32Storage: ['qint32', 4],
  QUInt4x2Storage: ['quint4x2', 1],
  QUInt2x4Storage: ['quint2x4', 1],
  'storage.UntypedStorage': [undefined, 1],
};

// prettier-ignore
const READ_DTYPES: DType[] = [
  'float32', 'float64', 'float16', 'bfloat16', 'bool',
  'int8', 'int16', 'int32', 'int64', 'uint8', 'uint16', 'uint32', 'uint64',
  'float8_e4m3fn', 'float8_e5m2', 'float8_e4m3fnuz', 'float8_e5m2fnuz', 'float8_e8m0fnu',
];

const UNREAD_DTYPES = [
  ...['complex32', 'complex64', 'complex128', 'float4_e2m1fn_x2'],
  ...['qint8', 'quint8', 'qint32', 'quint4x2', 'quint2x4'],
  ...['bits8', 'bits16', 'bits1x8', 'bits2x4', 'bits4x2'],
  ...[1, 2, 3, 4, 5, 6, 7].flatMap(bits => [`int${bits}`, `uint${bits}`]),
];

/** Classes of tensors: named as an argument, or called to make one in PyTorch's oldest way, which is not read. */
const TENSOR_CLASSES = [
  ...['torch.Tensor', 'torch._tensor.Tensor', 'torch.nn.parameter.Buffer'],
  ...['Float', 'Double', 'Half', 'BFloat16', 'Long', 'Int', 'Short', 'Char', 'Byte', 'Bool'].flatMap(kind =>
    ['torch', 'torch.cuda', 'torch.sparse', 'torch.cuda.sparse'].map(module => `${module}.${kind}Tensor`),
  ),
];

/** Values without numbers: named, never called. */
const CONSTANTS = [
  ...['per_tensor_affine', 'per_tensor_symmetric', 'per_channel_affine', 'per_channel_symmetric'],
  ...['per_channel_affine_float_qparams', 'contiguous_format', 'preserve_format', 'channels_last', 'channels_last_3d'],
].map(name => `torch.${name}`);

/** Classes that published checkpoints contain in addition to tensors: skipped, never instantiated. */
const INERT = [
  'argparse.Namespace',
  'pathlib.PosixPath',
  'pathlib._local.PosixPath',
  'builtins.complex',
  'builtins.bytearray',
  'builtins.bytes',
  'torch.device',
  'torch.serialization._get_layout',
  'numpy.dtype',
  'numpy.ndarray',
  'numpy.core.multiarray.scalar',
  'numpy._core.multiarray.scalar',
  'numpy.core.multiarray._reconstruct',
  'numpy._core.multiarray._reconstruct',
  'pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint',
  'lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint',
];

const unread = (kind: string) => (): UnreadTensor => new UnreadTensor(kind);

const FUNCTIONS: Record<string, (args: unknown[]) => unknown> = {
  'collections.OrderedDict': args => new Map(pairs(args[0])),
  'collections.Counter': args => args[0] ?? new Map(),
  'collections.defaultdict': () => new Map(),
  'builtins.set': args => new Set(asList(args[0])),
  'torch.Size': args => args[0],
  '_codecs.encode': args => args[0],
  'torch.nn.parameter.Parameter': args => (args.length > 0 ? tensor(args[0]) : new UnreadTensor('an empty parameter')),
  'torch._utils._rebuild_tensor': args => rebuildTensor(args),
  'torch._utils._rebuild_tensor_v2': args => rebuildTensor(args, { metadata: args[6] }),
  'torch._utils._rebuild_tensor_v3': args => rebuildTensor(args, { dtype: dtypeOf(args[6]), metadata: args[7] }),
  'torch._utils._rebuild_parameter': args => tensor(args[0]),
  'torch._utils._rebuild_parameter_with_state': args => tensor(args[0]),
  'torch._utils._rebuild_device_tensor_from_cpu_tensor': args => tensor(args[0]),
  'torch._utils._rebuild_device_tensor_from_numpy': unread('kept as a NumPy array'),
  'torch._utils._rebuild_qtensor': unread('quantized'),
  'torch._utils._rebuild_sparse_tensor': unread('sparse'),
  'torch._utils._rebuild_nested_tensor': unread('nested'),
  'torch._utils._rebuild_meta_tensor_no_storage': unread('on the meta device, without numbers'),
  'torch._utils._rebuild_wrapper_subclass': unread('a subclass without numbers of its own'),
  'torch._tensor._rebuild_from_type_v2': ([make, , args]) => {
    if (!(make instanceof Name) || !make.name.startsWith('torch._utils._rebuild_') || !make.call)
      throw new Error('a tensor made by something other than torch._utils');
    return make.call(asList(args));
  },
};

/** `torch.FloatStorage` and its twin on a GPU are one to us. */
const STORAGE_NAMES = new Map(
  Object.entries(STORAGES).flatMap(([name, kind]) =>
    ['torch.', 'torch.cuda.'].map(module => [module + name, kind] as const),
  ),
);

const DTYPE_NAMES = [...READ_DTYPES, ...UNREAD_DTYPES].map(name => `torch.${name}`);

const NAMES = new Map<string, Name>([
  ...Object.entries(FUNCTIONS).map(([name, call]) => [name, new Name(name, call)] as const),
  ...[...STORAGE_NAMES.keys(), ...DTYPE_NAMES, ...CONSTANTS].map(name => [name, new Name(name)] as const),
  ...TENSOR_CLASSES.map(name => [name, new Name(name, unread(`a ${name} of an old form`))] as const),
  ...INERT.map(name => [name, new Name(name, args => new Inert(name, args))] as const),
]);

/** The names and storages that a checkpoint's pickle may speak of. `path` is for the message that refuses another. */
export function checkpointWorld(path: string): PickleWorld {
  return {
    resolve(name) {
      const known = NAMES.get(name.replace(/^__builtin__\./, 'builtins.'));
      if (known) return known;
      throw new UserError(
        `${path}: its pickle refers to ${name}, which tensors do not need; nothing was executed. If you trust the file, save only its state dict in Python: torch.save(checkpoint["state_dict"], …) or safetensors`,
      );
    },
    persistent(id) {
      const [kind, type, key, , length] = asList(id);
      const holds = type instanceof Name && STORAGE_NAMES.get(type.name);
      if (kind !== 'storage' || !holds) throw new Error('something outside the pickle that is not a storage');
      if (typeof key !== 'string') throw new Error('a storage without a name');
      return new StorageValue(key, ...holds, natural(length));
    },
  };
}

interface Rebuilding {
  /** Where the storage does not say it. */
  dtype?: string | undefined;
  /** Flags of a view: `neg` and `conj`. */
  metadata?: unknown;
}

/** (storage, offset, size, stride, …) → where the numbers lie. */
function rebuildTensor(
  [storage, offset, size, stride]: unknown[],
  { dtype, metadata }: Rebuilding = {},
): TensorValue | UnreadTensor {
  if (!(storage instanceof StorageValue)) throw new Error('a tensor without a storage');
  const type = dtype ?? storage.dtype;
  if (!type) throw new Error('a tensor without a dtype');
  const shape = asList(size).map(natural);
  const strides = asList(stride).map(natural);
  if (shape.length !== strides.length) throw new Error('a tensor with more strides than sides, or fewer');
  if (!isRead(type)) return new UnreadTensor(type);
  const negative = metadata instanceof Map && metadata.get('neg') === true;
  return new TensorValue(storage, type, natural(offset), shape, strides, negative);
}

const isRead = (dtype: string): dtype is DType => (READ_DTYPES as string[]).includes(dtype);

function tensor(value: unknown): TensorValue | UnreadTensor {
  if (value instanceof TensorValue || value instanceof UnreadTensor) return value;
  throw new Error('a parameter that is not a tensor');
}

function dtypeOf(value: unknown): string {
  if (value instanceof Name && DTYPE_NAMES.includes(value.name)) return value.name.slice('torch.'.length);
  throw new Error('a tensor of an unknown dtype');
}

function asList(value: unknown): unknown[] {
  if (value === undefined) return [];
  if (Array.isArray(value)) return value;
  throw new Error('a list was expected');
}

function natural(value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw new Error(`a size or place of ${String(value)}`);
}

function pairs(value: unknown): [unknown, unknown][] {
  return asList(value).map(pair => {
    const [key, item] = asList(pair);
    return [key, item];
  });
}
