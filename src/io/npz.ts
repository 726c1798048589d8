import { PassThrough, Readable } from 'node:stream';
import type { FileHandle } from 'node:fs/promises';
import yazl from 'yazl';
import { UserError } from '../base/index.js';
import { bytesPer, elementCount, type NdArray, type TypedArray } from './array.js';
import { writeAtomic, type AtomicOptions } from './atomic.js';
import { memoryBytes, type ByteSource } from './bytes.js';
import { readAllArrays, type ArrayFile, type ArrayInfo } from './lazy.js';
import { listed } from './listed.js';
import { encodeChecked } from './narrow.js';
import { holdsNumbers, npyHeader, readNpyHeader, readNpyPreamble, type NpyOptions } from './npy-header.js';
import { readValues, type TextArray } from './npy-text.js';
import { openNpy, type NpyFile } from './npy.js';
import { openZip } from './zip.js';

/** A .npz archive as `numpy.savez` and `numpy.savez_compressed` write it. */
export interface NpzFile {
  readonly name: string;
  /** The arrays' names, without `.npy`. */
  names: string[];
  /** One array whose rows can be read a few at a time; in place where it is stored uncompressed. */
  open(name: string, options?: NpyOptions): Promise<NpyFile>;
  /** One whole array, its checksum verified. */
  read(name: string, options?: NpyOptions): Promise<NdArray>;
  /** One whole array of numbers or text. */
  readValues(name: string): Promise<NdArray | TextArray>;
  /** Shapes and types of all arrays of numbers; text, objects and what else an archive holds are left out. */
  numbers(options?: NpyOptions): Promise<Map<string, ArrayInfo>>;
  close(): Promise<void>;
}

/** An array that is written piece by piece, so that it need not fit in memory. */
export interface ArrayStream extends ArrayInfo {
  /** The numbers in C order, in pieces of any length. */
  chunks: AsyncIterable<TypedArray>;
}

const SUFFIX = '.npy';
const LARGEST_PIECE = 2 ** 30;

/** Opens a .npz archive and reads its directory. */
export async function openNpz(path: string | ByteSource): Promise<NpzFile> {
  const zip = await openZip(path);
  const names = [...zip.members.keys()]
    .filter(name => name.endsWith(SUFFIX))
    .map(name => name.slice(0, -SUFFIX.length));
  const member = (name: string): string => {
    if (!zip.members.has(name + SUFFIX))
      throw new UserError(`${zip.name}: holds no array ${name}; it has ${listed(names)}`);
    return name + SUFFIX;
  };
  const bytesOf = async (name: string): Promise<ByteSource> => {
    const size = zip.members.get(member(name))!;
    // In one piece, so that the checksum of a stored member is verified too; beyond that, as a stream.
    if (size > LARGEST_PIECE) return await zip.open(member(name));
    return memoryBytes(`${zip.name}:${name}`, await zip.read(member(name)));
  };
  const open: NpzFile['open'] = async (name, options) => await openNpy(await zip.open(member(name)), options);
  return {
    name: zip.name,
    names,
    open,
    read: async (name, options) => await (await openNpy(await bytesOf(name), options)).read(),
    readValues: async name => await readValues(await bytesOf(name)),
    async numbers(options) {
      const found = new Map<string, ArrayInfo>();
      for (const name of names) {
        const source = await zip.open(member(name));
        const { descr } = await readNpyPreamble(source);
        if (holdsNumbers(descr)) {
          const { shape, dtype } = await readNpyHeader(source, options);
          found.set(name, { shape, dtype });
        }
        await source.close();
      }
      return found;
    },
    close: () => zip.close(),
  };
}

/** Every array of numbers of an archive. */
export async function readNpz(path: string | ByteSource): Promise<Record<string, NdArray>> {
  const file = await npzArrays(path);
  try {
    return await readAllArrays(file);
  } finally {
    await file.close();
  }
}

/** The numbers of an archive as a file of arrays whose shapes are known. */
export async function npzArrays(path: string | ByteSource, options: NpyOptions = {}): Promise<ArrayFile> {
  const npz = await openNpz(path);
  try {
    const tensors = await npz.numbers(options);
    return { tensors, metadata: {}, read: name => npz.read(name, options), close: () => npz.close() };
  } catch (error) {
    await npz.close();
    throw error;
  }
}

/** A day that every zip can name, given in local time as zip counts: the same arrays give the same bytes anywhere. */
const MTIME = new Date(1980, 0, 1);

/** Writes arrays uncompressed, as `numpy.savez` does, whole or not at all. */
export async function writeNpz(
  path: string,
  arrays: Record<string, NdArray | ArrayStream>,
  options: AtomicOptions = {},
): Promise<void> {
  await writeAtomic(path, options, async file => {
    const zip = new yazl.ZipFile();
    const output = zip.outputStream.pipe(new PassThrough());
    zip.on('error', (error: Error) => output.destroy(error));
    for (const [name, array] of Object.entries(arrays)) addArray(zip, path, name, array);
    zip.end();
    await drain(output, file);
  });
}

function addArray(zip: yazl.ZipFile, path: string, name: string, array: NdArray | ArrayStream): void {
  const header = npyHeader(array.shape, array.dtype);
  const size = header.length + elementCount(array.shape) * bytesPer(array.dtype);
  const options = {
    mtime: MTIME,
    forceDosTimestamp: true,
    mode: 0o100644,
    compress: false,
    size,
    // The sizes come after the data, in a field whose width must be settled before.
    forceZip64Format: size > 0xf0000000,
  };
  zip.addReadStreamLazy(name + SUFFIX, options, callback => {
    const stream = Readable.from(arrayBytes(`${path}: array ${name}`, header, array), { objectMode: false });
    stream.on('error', error => zip.emit('error', error));
    callback(null, stream);
  });
}

async function* arrayBytes(where: string, header: Uint8Array, array: NdArray | ArrayStream): AsyncIterable<Uint8Array> {
  yield header;
  if ('data' in array) {
    yield encodeChecked(where, array);
    return;
  }
  let written = 0;
  for await (const data of array.chunks) {
    written += data.length;
    yield encodeChecked(where, { shape: [data.length], dtype: array.dtype, data });
  }
  const expected = elementCount(array.shape);
  if (written !== expected) throw new Error(`${where}: ${written} numbers came for shape [${array.shape.join(', ')}]`);
}

async function drain(stream: Readable, file: FileHandle): Promise<void> {
  for await (const chunk of stream) await file.writeFile(chunk as Uint8Array);
}
