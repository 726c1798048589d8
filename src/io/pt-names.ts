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
}

export interface PtStorage {
  key: string;
  /** Absent for an untyped storage, whose tensors say what it holds. */
  dtype: DType | undefined;
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
  ) {}
}

class StorageValue implements PtStorage {
  constructor(
    readonly key: string,
    readonly dtype: DType | undefined,
    readonly length: number,
  ) {}
}

const STORAGES: Record<string, DType | undefined> = {
  'torch.FloatStorage': 'float32',
  'torch.DoubleStorage': 'float64',
  'torch.HalfStorage': 'float16',
  'torch.BFloat16Storage': 'bfloat16',
  'torch.LongStorage': 'int64',
  'torch.IntStorage': 'int32',
  'torch.ShortStorage': 'int16',
  'torch.CharStorage': 'int8',
  'torch.ByteStorage': 'uint8',
  'torch.BoolStorage': 'bool',
  'torch.storage.UntypedStorage': undefined,
};

const DTYPES: Record<string, DType> = {
  'torch.float32': 'float32',
  'torch.float64': 'float64',
  'torch.float16': 'float16',
  'torch.bfloat16': 'bfloat16',
  'torch.int64': 'int64',
  'torch.int32': 'int32',
  'torch.int16': 'int16',
  'torch.int8': 'int8',
  'torch.uint8': 'uint8',
  'torch.uint16': 'uint16',
  'torch.uint32': 'uint32',
  'torch.uint64': 'uint64',
  'torch.bool': 'bool',
};

/** What published checkpoints keep beside their tensors: read over, never made. */
const INERT = [
  'argparse.Namespace',
  'pathlib.PosixPath',
  'pathlib._local.PosixPath',
  'torch.device',
  'numpy.dtype',
  'numpy.ndarray',
  'numpy.core.multiarray.scalar',
  'numpy._core.multiarray.scalar',
  'numpy.core.multiarray._reconstruct',
  'numpy._core.multiarray._reconstruct',
  'pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint',
  'lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint',
];

const FUNCTIONS: Record<string, (args: unknown[]) => unknown> = {
  'collections.OrderedDict': args => new Map(pairs(args[0])),
  'collections.defaultdict': () => new Map(),
  'builtins.set': args => new Set(asList(args[0])),
  '__builtin__.set': args => new Set(asList(args[0])),
  'torch.Size': args => args[0],
  '_codecs.encode': args => args[0],
  'torch._utils._rebuild_tensor': rebuildTensor,
  'torch._utils._rebuild_tensor_v2': rebuildTensor,
  'torch._utils._rebuild_tensor_v3': args => rebuildTensor(args, dtypeOf(args[6])),
  'torch._utils._rebuild_parameter': args => tensor(args[0]),
  'torch._utils._rebuild_parameter_with_state': args => tensor(args[0]),
  'torch._tensor._rebuild_from_type_v2': ([make, , args]) => {
    if (!(make instanceof Name) || !make.name.startsWith('torch._utils._rebuild_') || !make.call)
      throw new Error('a tensor made by something else than torch._utils');
    return make.call(asList(args));
  },
};

/** Classes that are only named, as `_rebuild_from_type_v2`'s argument. */
const CLASSES = ['torch.Tensor', 'torch._tensor.Tensor', 'torch.nn.parameter.Parameter', 'torch.nn.parameter.Buffer'];

const NAMES = new Map<string, Name>([
  ...Object.entries(FUNCTIONS).map(([name, call]) => [name, new Name(name, call)] as const),
  ...[...Object.keys(STORAGES), ...Object.keys(DTYPES), ...CLASSES].map(name => [name, new Name(name)] as const),
  ...INERT.map(name => [name, new Name(name, args => new Inert(name, args))] as const),
]);

/** The names and storages that a checkpoint's pickle may speak of. `path` is for the message that refuses another. */
export function checkpointWorld(path: string): PickleWorld {
  return {
    resolve(name) {
      const known = NAMES.get(name);
      if (known) return known;
      throw new UserError(
        `${path}: its pickle asks for ${name}, which tensors do not need; nothing was run. If you trust the file, save its state dict alone in Python: torch.save(checkpoint["state_dict"], …) or safetensors`,
      );
    },
    persistent(id) {
      const [kind, type, key, , length] = asList(id);
      if (kind !== 'storage' || !(type instanceof Name) || !Object.hasOwn(STORAGES, type.name))
        throw new Error('something outside the pickle that is no storage');
      if (typeof key !== 'string') throw new Error('a storage without a name');
      return new StorageValue(key, STORAGES[type.name], natural(length));
    },
  };
}

/** (storage, offset, size, stride, …) → where the numbers lie. */
function rebuildTensor([storage, offset, size, stride]: unknown[], dtype?: DType): TensorValue {
  if (!(storage instanceof StorageValue)) throw new Error('a tensor without a storage');
  const type = dtype ?? storage.dtype;
  if (!type) throw new Error('a tensor without a dtype');
  const shape = asList(size).map(natural);
  const strides = asList(stride).map(natural);
  if (shape.length !== strides.length) throw new Error('a tensor with more strides than sides, or fewer');
  return new TensorValue(storage, type, natural(offset), shape, strides);
}

function tensor(value: unknown): TensorValue {
  if (value instanceof TensorValue) return value;
  throw new Error('a parameter that is no tensor');
}

function dtypeOf(value: unknown): DType {
  if (value instanceof Name && Object.hasOwn(DTYPES, value.name)) return DTYPES[value.name];
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
