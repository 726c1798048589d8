import { messageOf, UserError } from '../base/index.js';
import { bytesPer, decode, elementCount, gatherInCOrder, widened, type NdArray, type TypedArray } from './array.js';
import { openBytes, partOf, type ByteSource } from './bytes.js';
import { PickleEnds, unpickle } from './pickle.js';
import { checkpointWorld, type PtStorage, type PtTensor } from './pt-names.js';
import { openZip, type ZipArchive } from './zip.js';

/** A PyTorch checkpoint: what was saved, its tensors not yet read. */
export interface PtFile {
  readonly name: string;
  /** Python's dicts are Maps, lists and tuples are arrays, tensors are `TensorValue`s. */
  value: unknown;
  /** One tensor; `label` is what messages call it. */
  read(tensor: PtTensor, label: string): Promise<NdArray>;
  close(): Promise<void>;
}

interface Storages {
  bigEndian: boolean;
  open(storage: PtStorage): Promise<ByteSource>;
}

/** Opens what `torch.save` wrote, in today's zip form or the older one. Runs nothing of the file's. */
export async function openPt(path: string | ByteSource): Promise<PtFile> {
  const source = typeof path === 'string' ? await openBytes(path) : path;
  const { name } = source;
  try {
    const start = Buffer.from(await source.read(0, Math.min(4, source.size))).toString('latin1');
    const { value, storages } = start === 'PK\x03\x04' ? await fromZip(source) : await fromStream(source);
    return {
      name,
      value,
      read: (tensor, label) => readTensor(`${name}: tensor ${label}`, tensor, storages),
      close: () => source.close(),
    };
  } catch (error) {
    await source.close();
    throw refusal(name, error);
  }
}

const refusal = (path: string, error: unknown): UserError =>
  error instanceof UserError
    ? error
    : new UserError(`${path}: cannot be read as a PyTorch checkpoint (${messageOf(error)}); it is damaged or crafted`);

async function fromZip(source: ByteSource): Promise<{ value: unknown; storages: Storages }> {
  const zip = await openZip(source);
  const pickle = [...zip.members.keys()].find(name => name === 'data.pkl' || name.endsWith('/data.pkl'));
  if (pickle === undefined)
    throw new UserError(`${source.name}: is a zip archive without a data.pkl, not a PyTorch checkpoint`);
  const folder = pickle.slice(0, -'data.pkl'.length);
  if (zip.members.has(`${folder}constants.pkl`))
    throw new UserError(
      `${source.name}: is a TorchScript program, not a checkpoint; save its weights in Python: torch.save(torch.jit.load(…).state_dict(), …)`,
    );
  const { value } = unpickle(await zip.read(pickle), 0, checkpointWorld(source.name));
  return { value, storages: await zipStorages(zip, folder) };
}

async function zipStorages(zip: ZipArchive, folder: string): Promise<Storages> {
  const order = zip.members.has(`${folder}byteorder`)
    ? Buffer.from(await zip.read(`${folder}byteorder`)).toString('latin1')
    : 'little';
  return { bigEndian: order === 'big', open: ({ key }) => zip.open(`${folder}data/${key}`) };
}

/** The first of the older form's pickles is this number. */
const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;

/** Pickles one after the other: magic, version, system, what was saved, the storages' order; then the storages. */
async function fromStream(source: ByteSource): Promise<{ value: unknown; storages: Storages }> {
  const types = new Map<string, PtStorage>();
  const world = checkpointWorld(source.name);
  const noting = {
    ...world,
    persistent(id: unknown): unknown {
      const storage = world.persistent(id) as PtStorage;
      if (Array.isArray(id) && id[5] !== null && id[5] !== undefined)
        throw new UserError(`${source.name}: shares storages as PyTorch before 0.4 did; save it again in Python`);
      types.set(storage.key, storage);
      return storage;
    },
  };
  let at = 0;
  const next = async (): Promise<unknown> => {
    const { value, end } = await unpickleFrom(source, at, noting);
    at = end;
    return value;
  };
  if ((await next().catch(() => undefined)) !== LEGACY_MAGIC)
    throw new UserError(`${source.name}: is not a PyTorch checkpoint (neither a zip archive nor the older format)`);
  await next();
  const system = await next();
  const bigEndian = system instanceof Map && system.get('little_endian') === false;
  const value = await next();
  const order = await next();
  if (!Array.isArray(order)) throw new Error('no list of storages');
  return { value, storages: await streamStorages(source, at, order, types, bigEndian) };
}

/** Reads as much as the pickle turns out to need: the numbers that follow may be gigabytes. */
async function unpickleFrom(
  source: ByteSource,
  start: number,
  world: Parameters<typeof unpickle>[2],
): Promise<{ value: unknown; end: number }> {
  for (let length = 1 << 16; ; length *= 8) {
    const available = Math.min(length, source.size - start);
    try {
      const { value, end } = unpickle(await source.read(start, available), 0, world);
      return { value, end: start + end };
    } catch (error) {
      if (!(error instanceof PickleEnds) || available < length) throw error;
    }
  }
}

/** Each storage is its length, 8 bytes, and its numbers. */
async function streamStorages(
  source: ByteSource,
  start: number,
  order: unknown[],
  types: Map<string, PtStorage>,
  bigEndian: boolean,
): Promise<Storages> {
  const places = new Map<string, ByteSource>();
  let at = start;
  for (const key of order) {
    const storage = types.get(String(key));
    if (!storage) throw new Error(`a storage ${String(key)} that nothing uses`);
    const view = new DataView((await source.read(at, 8)).buffer);
    const length = Number(view.getBigInt64(0, !bigEndian));
    if (length !== storage.length) throw new Error(`storage ${String(key)} of ${length} instead of ${storage.length}`);
    const bytes = length * storage.elementBytes;
    places.set(String(key), partOf(source, source.name, at + 8, bytes));
    at += 8 + bytes;
  }
  return {
    bigEndian,
    open({ key }) {
      const place = places.get(key);
      if (!place) throw new Error(`storage ${key} is absent`);
      return Promise.resolve(place);
    },
  };
}

/** In place; whole numbers wrap around as PyTorch's do. */
function negated(data: TypedArray): TypedArray {
  for (let i = 0; i < data.length; i++) data[i] = -data[i];
  return data;
}

/** Expanded tensors (stride 0) may be larger than their storage, but not without limit. */
const LARGEST_EXPANSION = 1 << 24;

async function readTensor(where: string, tensor: PtTensor, storages: Storages): Promise<NdArray> {
  const { storage, dtype, shape, strides, offset } = tensor;
  const count = elementCount(shape);
  if (count === 0) return { shape, dtype: widened(dtype), data: decode(new Uint8Array(0), dtype) };
  try {
    const size = bytesPer(dtype);
    const bytes = await storages.open(storage);
    const stored = Math.floor(bytes.size / size);
    const last = shape.reduce((place, side, axis) => place + (side - 1) * strides[axis], offset);
    if (last >= stored || (count > stored && count > LARGEST_EXPANSION))
      throw new UserError(`${where}: [${shape.join(', ')}] reaches beyond its storage of ${stored} numbers`);
    const span = decode(await bytes.read(offset * size, (last - offset + 1) * size), dtype, storages.bigEndian);
    const data = gatherInCOrder(span, shape, strides);
    return { shape, dtype: widened(dtype), data: tensor.negative ? negated(data) : data };
  } catch (error) {
    throw error instanceof UserError && error.message.startsWith(where)
      ? error
      : new UserError(`${where}: cannot be read: ${messageOf(error)}`);
  }
}
