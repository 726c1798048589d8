import { isRecord, UserError } from '../base/index.js';
import { bytesPer, elementCount, type DType } from './array.js';
import type { ByteSource } from './bytes.js';
import type { ArrayInfo } from './lazy.js';

interface Place {
  start: number;
  bytes: number;
}

/** Where one tensor's bytes lie in the file. */
export type TensorEntry = ArrayInfo & Place;

export interface SafetensorsHeader {
  tensors: Map<string, TensorEntry>;
  /** Names of those whose dtype has no array here, with their dtype. */
  unread: Map<string, string>;
  metadata: Record<string, string>;
}

/** The format's own limit. */
const LONGEST_HEADER = 100_000_000;

const DTYPES: Record<string, DType> = {
  BOOL: 'bool',
  U8: 'uint8',
  I8: 'int8',
  U16: 'uint16',
  I16: 'int16',
  U32: 'uint32',
  I32: 'int32',
  U64: 'uint64',
  I64: 'int64',
  F8_E4M3: 'float8_e4m3fn',
  F8_E5M2: 'float8_e5m2',
  F8_E4M3FNUZ: 'float8_e4m3fnuz',
  F8_E5M2FNUZ: 'float8_e5m2fnuz',
  F8_E8M0: 'float8_e8m0fnu',
  F16: 'float16',
  BF16: 'bfloat16',
  F32: 'float32',
  F64: 'float64',
};

/** Bits of a number of the format's other dtypes. */
const UNREAD: Record<string, number> = { F4: 4, F6_E2M3: 6, F6_E3M2: 6, C64: 64 };

const NAMES = new Map(Object.entries(DTYPES).map(([name, dtype]) => [dtype, name]));

/** Recognises what a download sometimes leaves in place of weights. */
function inItsPlace(start: Uint8Array): string | undefined {
  const text = Buffer.from(start).toString('latin1');
  if (text === 'version ') return 'it is a Git LFS pointer; fetch the file itself (git lfs pull)';
  return /^\s*</.test(text) ? 'it is a web page; download it again' : undefined;
}

/**
 * Whether a file's first nine bytes begin a safetensors file: a length within the format's limit, then the brace that the
 * format prescribes. Neither a zip archive (its ninth byte is a method of compression) nor a pickle passes for one: the
 * fifth to eighth byte of a safetensors file are zeros.
 */
export function beginsSafetensors(start: Uint8Array): boolean {
  if (start.length < 9 || start[8] !== 0x7b) return false;
  return new DataView(start.buffer, start.byteOffset).getBigUint64(0, true) <= LONGEST_HEADER;
}

/** Reads and checks a header: every tensor lies within the file, is as long as its shape says, and shares no byte. */
export async function readSafetensorsHeader(source: ByteSource): Promise<SafetensorsHeader> {
  const notOne = (why: string) => new UserError(`${source.name}: is not a safetensors file: ${why}`);
  if (source.size < 8) throw notOne(source.size === 0 ? 'it is empty' : `it holds only ${source.size} bytes`);
  const start = await source.read(0, 8);
  const length = Number(new DataView(start.buffer, start.byteOffset).getBigUint64(0, true));
  if (length > LONGEST_HEADER) throw notOne(inItsPlace(start) ?? `its header would be ${length} bytes long`);
  if (8 + length > source.size)
    throw new UserError(
      `${source.name}: is truncated within its header (${source.size} of at least ${8 + length} bytes); download it again`,
    );
  const header = parse(Buffer.from(await source.read(8, length)).toString('utf8'));
  if (!header) throw notOne('its header is not a JSON object');
  const { __metadata__: metadata, ...entries } = header;
  const tensors = new Map<string, TensorEntry>();
  const unread = new Map<string, string>();
  const places: [string, Place][] = [];
  for (const [name, value] of Object.entries(entries)) {
    const { typeName, shape, ...place } = entryOf(source, 8 + length, name, value);
    places.push([name, place]);
    if (Object.hasOwn(DTYPES, typeName)) tensors.set(name, { dtype: DTYPES[typeName], shape, ...place });
    else unread.set(name, typeName);
  }
  refuseGaps(source, 8 + length, places);
  return { tensors, unread, metadata: textOf(metadata) };
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const textOf = (value: unknown): Record<string, string> =>
  isRecord(value) ? Object.fromEntries(Object.entries(value).map(([key, text]) => [key, String(text)])) : {};

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const areCounts = (value: unknown): value is number[] => Array.isArray(value) && value.every(isCount);

interface HeaderEntry extends Place {
  typeName: string;
  shape: number[];
}

function entryOf(source: ByteSource, dataStart: number, name: string, value: unknown): HeaderEntry {
  const refuse = (why: string) => new UserError(`${source.name}: tensor ${name}: ${why}`);
  if (!isRecord(value)) throw refuse('its header entry is damaged');
  const { dtype: typeName, shape, data_offsets: offsets } = value;
  if (!areCounts(shape)) throw refuse('its shape is damaged');
  if (!areCounts(offsets) || offsets.length !== 2) throw refuse('its offsets are damaged');
  if (typeof typeName !== 'string' || !(Object.hasOwn(DTYPES, typeName) || Object.hasOwn(UNREAD, typeName)))
    throw refuse(`dtype ${String(typeName)} cannot be read; convert it to one of ${Object.keys(DTYPES).join(', ')}`);
  const bits = Object.hasOwn(DTYPES, typeName) ? 8 * bytesPer(DTYPES[typeName]) : UNREAD[typeName];
  const [start, end] = offsets;
  const needed = (elementCount(shape) * bits) / 8;
  if (end - start !== needed)
    throw refuse(`${typeName} [${shape.join(', ')}] needs ${needed} bytes, its offsets give ${end - start}`);
  if (dataStart + end > source.size)
    throw refuse(
      `ends at byte ${dataStart + end}, but the file holds ${source.size}; it is truncated, download it again`,
    );
  return { typeName, shape, start: dataStart + start, bytes: needed };
}

/** The format wants the bytes covered once each: an overlap, a hole or a tail betrays a damaged or crafted file. */
function refuseGaps(source: ByteSource, dataStart: number, tensors: [string, Place][]): void {
  const inOrder = tensors.sort(([, a], [, b]) => a.start - b.start || a.bytes - b.bytes);
  let covered = dataStart;
  for (const [name, { start, bytes }] of inOrder) {
    if (start !== covered)
      throw new UserError(
        `${source.name}: tensor ${name}: ${start < covered ? 'overlaps its neighbour' : `${start - covered} bytes before it belong to no tensor`}; the file is damaged`,
      );
    covered = start + bytes;
  }
  if (covered !== source.size)
    throw new UserError(`${source.name}: ${source.size - covered} bytes at its end belong to no tensor; it is damaged`);
}

/**
 * The header of a new file, and the order in which the tensors' bytes follow it: widest numbers first (so that all lie
 * aligned), then by name. The same arrays give the same bytes.
 */
export function safetensorsHeader(
  arrays: [string, ArrayInfo][],
  metadata: Record<string, string>,
): { bytes: Uint8Array; order: string[] } {
  const inOrder = [...arrays].sort(
    ([a, { dtype: x }], [b, { dtype: y }]) => bytesPer(y) - bytesPer(x) || (a < b ? -1 : a > b ? 1 : 0),
  );
  const entries: [string, unknown][] = [];
  const keys = Object.keys(metadata).sort();
  if (keys.length > 0) entries.push(['__metadata__', Object.fromEntries(keys.map(key => [key, metadata[key]]))]);
  let offset = 0;
  for (const [name, { dtype, shape }] of inOrder) {
    const end = offset + elementCount(shape) * bytesPer(dtype);
    entries.push([name, { dtype: NAMES.get(dtype), shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  const json = Buffer.from(JSON.stringify(Object.fromEntries(entries)), 'utf8');
  const padded = Math.ceil(json.length / 8) * 8;
  const bytes = Buffer.alloc(8 + padded, ' ');
  bytes.writeBigUInt64LE(BigInt(padded), 0);
  json.copy(bytes, 8);
  return { bytes, order: inOrder.map(([name]) => name) };
}
