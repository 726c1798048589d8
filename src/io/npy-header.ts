import { UserError } from '../base/index.js';
import type { ByteSource } from './bytes.js';
import { bytesPer, elementCount, type DType } from './array.js';
import type { NamelessDType } from './names.js';

export interface NpyOptions {
  /** Type of numbers whose type the file does not name; default: they are refused. */
  nameless?: NamelessDType | undefined;
}

/** The header of a .npy file (NumPy enhancement proposal 1, versions 1 to 3). */
export interface NpyPreamble {
  shape: number[];
  /** NumPy's code of the items' type: `<f4`, `|S12`. */
  descr: string;
  fortranOrder: boolean;
  /** Where the items begin. */
  dataOffset: number;
}

/** Header of a file whose items are numbers. */
export interface NpyHeader extends Omit<NpyPreamble, 'descr'> {
  dtype: DType;
  bigEndian: boolean;
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
  // How ml_dtypes, which JAX and TensorFlow save through, calls the one of its types that keeps a letter.
  f1: 'float8_e5m2',
  f2: 'float16',
  f4: 'float32',
  f8: 'float64',
};

/** Reads and checks a header; the numbers it promises are all there. */
export async function readNpyHeader(source: ByteSource, { nameless }: NpyOptions = {}): Promise<NpyHeader> {
  const { descr, ...preamble } = await readNpyPreamble(source);
  const header = { ...preamble, ...numberType(source.name, descr, nameless) };
  checkSize(source, header, header.dtype, bytesPer(header.dtype));
  return header;
}

/** Refuses a file that is shorter than its header promises. */
export function checkSize(source: ByteSource, { shape, dataOffset }: NpyPlace, type: string, itemBytes: number): void {
  const needed = elementCount(shape) * itemBytes;
  if (!Number.isSafeInteger(needed) || dataOffset + needed > source.size)
    throw new UserError(
      `${source.name}: is truncated: its header promises ${type} [${shape.join(', ')}], ${needed} bytes, but ${source.size - dataOffset} follow`,
    );
}

type NpyPlace = Pick<NpyPreamble, 'shape' | 'dataOffset'>;

/** Reads a header whatever the items are. */
export async function readNpyPreamble(source: ByteSource): Promise<NpyPreamble> {
  if (source.size < 10) throw new UserError(`${source.name}: is not a .npy file (only ${source.size} bytes)`);
  const start = await source.read(0, 10);
  if (MAGIC.some((byte, i) => start[i] !== byte))
    throw new UserError(`${source.name}: is not a .npy file (${beginning(start)})`);
  const version = start[6];
  if (version < 1 || version > 3)
    throw new UserError(`${source.name}: .npy version ${version} is unknown; 1, 2 and 3 can be read`);
  const lengthBytes = version === 1 ? 2 : 4;
  const view = new DataView((await source.read(8, lengthBytes)).buffer);
  const length = version === 1 ? view.getUint16(0, true) : view.getUint32(0, true);
  if (length > LONGEST_HEADER) throw new UserError(`${source.name}: its header claims ${length} bytes; it is damaged`);
  const dataOffset = 8 + lengthBytes + length;
  const text = Buffer.from(await source.read(8 + lengthBytes, length)).toString('latin1');
  return { ...parseHeader(source.name, text), dataOffset };
}

/** Stands for the list of fields that a type of records has instead of a code. */
const RECORDS = 'records';

/** Whether items of this type are numbers, be their type named or not. */
export const holdsNumbers = (descr: string): boolean => NAMELESS.test(descr) || Object.hasOwn(KINDS, descr.slice(1));

const NAMELESS = /^[<>|=]V[12]$/;

/** The Python dict literal of the header. */
function parseHeader(name: string, text: string): Omit<NpyPreamble, 'dataOffset'> {
  const descr = /'descr'\s*:\s*'([^']*)'/.exec(text)?.[1] ?? (/'descr'\s*:\s*\[/.test(text) ? RECORDS : undefined);
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(text)?.[1];
  const sides = /'shape'\s*:\s*\(([\d\sL,]*)\)/.exec(text)?.[1];
  if (descr === undefined || order === undefined || sides === undefined)
    throw new UserError(`${name}: its .npy header cannot be parsed; the file is damaged`);
  const shape = sides
    .split(',')
    .map(side => side.replace('L', '').trim())
    .filter(Boolean)
    .map(Number);
  return { shape, descr, fortranOrder: order === 'True' };
}

function numberType(
  name: string,
  descr: string,
  nameless: NamelessDType | undefined,
): Pick<NpyHeader, 'dtype' | 'bigEndian'> {
  const known = KINDS as Record<string, DType | undefined>;
  const isNameless = NAMELESS.test(descr);
  const fits = nameless !== undefined && Number(descr[2]) === bytesPer(nameless);
  if (isNameless && !fits) throw namelessError(name, descr);
  const dtype = isNameless ? nameless : known[descr.slice(1)];
  if (dtype && '<>|='.includes(descr[0])) return { dtype, bigEndian: descr[0] === '>' };
  if (descr === RECORDS) throw new UserError(`${name}: holds records with named fields; save one plain array`);
  throw new UserError(`${name}: dtype ${descr}${meaning(descr)}; save it as float32 or an integer type`);
}

/** `V` is memory of whatever kind. */
function namelessError(name: string, descr: string): UserError {
  const [what, remedy] = descr.endsWith('2')
    ? ['bfloat16 is saved this way', '--dtype bfloat16 reads it as such']
    : ['8-bit floating point is saved this way', '--dtype float8_e4m3fn or float8_e5m2 reads it as such'];
  return new UserError(
    `${name}: dtype ${descr} says only how many bytes an item has (${what}); ${remedy}, or save it as float32`,
  );
}

function meaning(descr: string): string {
  if (descr.includes('O')) return ' (Python objects, which are never unpickled) cannot be read';
  if (/[US]\d+$/.test(descr)) return ' is text where numbers were expected';
  if (descr.includes('c')) return ' (complex numbers) cannot be read';
  return ' cannot be read';
}

/** Describes a file that is not a .npy, for a message. */
function beginning(start: Uint8Array): string {
  if (start[0] === 0x1f && start[1] === 0x8b) return 'it is gzipped; gunzip it first';
  if (start[0] === 0x50 && start[1] === 0x4b) return 'it is a zip archive; rename it to .npz';
  return 'it does not begin with \\x93NUMPY';
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
