import {
  bytesPer,
  decode,
  elementCount,
  encode,
  gatherInCOrder,
  widened,
  type DType,
  type NdArray,
  type TypedArray,
} from './array.js';
import { writeAtomic, type AtomicOptions } from './atomic.js';
import { openBytes, type ByteSource } from './bytes.js';
import { npyHeader, readNpyHeader, type NpyHeader, type NpyOptions } from './npy-header.js';

/** A .npy file whose rows (first axis) can be read a few at a time. */
export interface NpyFile {
  shape: number[];
  /** As stored; what is narrower than float32 is read as that. */
  dtype: DType;
  read(): Promise<NdArray>;
  /** Rows `start` to `end` (exclusive) as an array of the same rank. */
  readRows(start: number, end: number): Promise<NdArray>;
  close(): Promise<void>;
}

/** Opens a .npy file or the same bytes elsewhere. Checks the header and that all numbers are there. */
export async function openNpy(path: string | ByteSource, options: NpyOptions = {}): Promise<NpyFile> {
  const source = typeof path === 'string' ? await openBytes(path) : path;
  try {
    const header = await readNpyHeader(source, options);
    return {
      shape: header.shape,
      dtype: header.dtype,
      read: () => readAll(source, header),
      readRows: header.fortranOrder && header.shape.length > 1 ? fortranRows(source, header) : cRows(source, header),
      close: () => source.close(),
    };
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** A whole .npy file in C order. */
export async function readNpy(path: string): Promise<NdArray> {
  const file = await openNpy(path);
  try {
    return await file.read();
  } finally {
    await file.close();
  }
}

/** Writes one array as NumPy reads it, whole or not at all. */
export async function writeNpy(path: string, array: NdArray, options: AtomicOptions = {}): Promise<void> {
  await writeAtomic(path, options, async file => {
    await file.writeFile(npyBytesBefore(array));
    await file.writeFile(encode(array));
  });
}

/** The header that stands before `encode(array)`. */
export function npyBytesBefore({ shape, dtype }: NdArray): Uint8Array {
  return npyHeader(shape, dtype);
}

/** Bytes of one read: Node 20 has no buffer of more than 4 GiB. */
const PIECE = 2 ** 30;

async function readAll(source: ByteSource, header: NpyHeader): Promise<NdArray> {
  const { shape, dtype, bigEndian, fortranOrder, dataOffset } = header;
  const [count, size] = [elementCount(shape), bytesPer(dtype)];
  const part = async (start: number, length: number): Promise<TypedArray> =>
    decode(await source.read(dataOffset + start * size, length * size), dtype, bigEndian);
  const step = PIECE / size;
  let data = await part(0, Math.min(count, step));
  if (count > step) {
    const first = data;
    data = new (first.constructor as new (length: number) => TypedArray)(count);
    const fill = (numbers: TypedArray, at: number): void => (data as Float32Array).set(numbers as Float32Array, at);
    fill(first, 0);
    for (let at = step; at < count; at += step) fill(await part(at, Math.min(count - at, step)), at);
  }
  return { shape, dtype: widened(dtype), data: fortranOrder ? fromFortran(data, shape) : data };
}

function cRows(source: ByteSource, { shape, dtype, bigEndian, dataOffset }: NpyHeader) {
  const width = elementCount(shape.slice(1));
  const rowBytes = width * bytesPer(dtype);
  return async (start: number, end: number): Promise<NdArray> => {
    const bytes = await source.read(dataOffset + start * rowBytes, (end - start) * rowBytes);
    return { shape: [end - start, ...shape.slice(1)], dtype: widened(dtype), data: decode(bytes, dtype, bigEndian) };
  };
}

/** The rows of a Fortran-ordered file lie scattered: it is transposed once, in memory. */
function fortranRows(source: ByteSource, header: NpyHeader) {
  let whole: Promise<NdArray> | undefined;
  const width = elementCount(header.shape.slice(1));
  return async (start: number, end: number): Promise<NdArray> => {
    const { dtype, data } = await (whole ??= readAll(source, header));
    return { shape: [end - start, ...header.shape.slice(1)], dtype, data: data.slice(start * width, end * width) };
  };
}

/** First axis fastest → last axis fastest. */
function fromFortran(data: TypedArray, shape: number[]): TypedArray {
  const strides = shape.map((_, axis) => elementCount(shape.slice(0, axis)));
  return gatherInCOrder(data, shape, strides);
}
