import { UserError } from '../base/index.js';
import type { ByteSource } from './bytes.js';
import { bytesPer, elementCount, type DType } from './array.js';

/** What stands before the numbers of a .npy file (NumPy enhancement proposal 1, versions 1 to 3). */
export interface NpyHeader {
  shape: number[];
  dtype: DType;
  bigEndian: boolean;
  fortranOrder: boolean;
  /** Where the numbers begin. */
  dataOffset: number;
}

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
/** NumPy's own limit on what it evaluates. */
const LONGEST_HEADER = 1 << 20;

const KINDS: Record<string, DType> = {
  b1: 'bool',
  u1: 'uint8',
  i1: 'int8',
  u2: 'uint16',
  i2: 'int16',
  u4: 'uint32',
  i4: 'int32',
  u8: 'uint64',
  i8: 'int64',
  f2: 'float16',
  f4: 'float32',
  f8: 'float64',
};

/** Reads and checks a header; the numbers it promises are all there. */
export async function readNpyHeader(source: ByteSource): Promise<NpyHeader> {
  if (source.size < 10) throw new UserError(`${source.name}: is not a .npy file (only ${source.size} bytes)`);
  const start = await source.read(0, 10);
  if (MAGIC.some((byte, i) => start[i] !== byte))
    throw new UserError(`${source.name}: is not a .npy file (it does not begin with \\x93NUMPY)`);
  const version = start[6];
  if (version < 1 || version > 3)
    throw new UserError(`${source.name}: .npy version ${version} is unknown; 1, 2 and 3 can be read`);
  const lengthBytes = version === 1 ? 2 : 4;
  const view = new DataView((await source.read(8, lengthBytes)).buffer);
  const length = version === 1 ? view.getUint16(0, true) : view.getUint32(0, true);
  if (length > LONGEST_HEADER) throw new UserError(`${source.name}: its header claims ${length} bytes; it is damaged`);
  const dataOffset = 8 + lengthBytes + length;
  const text = Buffer.from(await source.read(8 + lengthBytes, length)).toString('latin1');
  const header = { ...parseHeader(source.name, text), dataOffset };
  const needed = elementCount(header.shape) * bytesPer(header.dtype);
  if (!Number.isSafeInteger(needed) || dataOffset + needed > source.size)
    throw new UserError(
      `${source.name}: is truncated: its header promises ${header.dtype} [${header.shape.join(', ')}], ${needed} bytes, but ${source.size - dataOffset} follow`,
    );
  return header;
}

/** The Python dict literal of the header. */
function parseHeader(name: string, text: string): Omit<NpyHeader, 'dataOffset'> {
  const descr = /'descr'\s*:\s*'([^']*)'/.exec(text)?.[1];
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(text)?.[1];
  const sides = /'shape'\s*:\s*\(([\d\sL,]*)\)/.exec(text)?.[1];
  if (descr === undefined && text.includes("'descr'"))
    throw new UserError(`${name}: holds records with named fields; save one plain array`);
  if (descr === undefined || order === undefined || sides === undefined)
    throw new UserError(`${name}: its .npy header cannot be understood; the file is damaged`);
  const dtype = KINDS[descr.slice(1)] as DType | undefined;
  if (!dtype || !'<>|='.includes(descr[0])) {
    const pickled = descr.includes('O') ? ' (Python objects, which are never unpickled)' : '';
    throw new UserError(`${name}: dtype ${descr}${pickled} cannot be read; save it as float32 or an integer type`);
  }
  const shape = sides
    .split(',')
    .map(side => side.replace('L', '').trim())
    .filter(Boolean)
    .map(Number);
  return { shape, dtype, bigEndian: descr[0] === '>', fortranOrder: order === 'True' };
}

const DESCR = new Map(Object.entries(KINDS).map(([kind, dtype]) => [dtype, kind]));

/** A version 1 (or, where too long, 2) header for numbers in C order, padded so that they begin at a multiple of 64. */
export function npyHeader(shape: readonly number[], dtype: DType): Uint8Array {
  const kind = DESCR.get(dtype);
  if (!kind) throw new UserError(`a .npy file cannot hold ${dtype}; use safetensors or float32`);
  const order = bytesPer(dtype) === 1 ? '|' : '<';
  const sides = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const dict = `{'descr': '${order}${kind}', 'fortran_order': False, 'shape': (${sides}), }`;
  const long = dict.length > 65000;
  const before = long ? 12 : 10;
  const padding = 63 - ((before + dict.length) % 64);
  const length = dict.length + padding + 1;
  const header = Buffer.alloc(before + length, ' ');
  header.set([...MAGIC, long ? 2 : 1, 0]);
  if (long) header.writeUInt32LE(length, 8);
  else header.writeUInt16LE(length, 8);
  header.write(dict, before, 'latin1');
  header[header.length - 1] = 0x0a;
  return header;
}
