import { UserError } from '../base/index.js';
import { bytesPer, elementCount, type DType } from './array.js';
import type { ByteSource } from './bytes.js';
import type { ArrayInfo } from './lazy.js';

/** Where one tensor's bytes lie in the file. */
export interface TensorEntry extends ArrayInfo {
  start: number;
  bytes: number;
}

export interface SafetensorsHeader {
  tensors: Map<string, TensorEntry>;
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
  F16: 'float16',
  BF16: 'bfloat16',
  F32: 'float32',
  F64: 'float64',
};

const NAMES = new Map(Object.entries(DTYPES).map(([name, dtype]) => [dtype, name]));

/** What a download sometimes leaves where weights should be. */
function inItsPlace(start: Uint8Array): string | undefined {
  const text = Buffer.from(start).toString('latin1');
  if (text === 'version ') return 'it is a Git LFS pointer; fetch the file itself (git lfs pull)';
  return /^\s*</.test(text) ? 'it is a web page; download it again' : undefined;
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
  if (!header) throw notOne('its header is no JSON object');
  const tensors = new Map<string, TensorEntry>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') metadata = textOf(value);
    else tensors.set(name, entryOf(source, 8 + length, name, value));
  }
  refuseGaps(source, 8 + length, tensors);
  return { tensors, metadata };
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const textOf = (value: unknown): Record<string, string> =>
  isRecord(value) ? Object.fromEntries(Object.entries(value).map(([key, text]) => [key, String(text)])) : {};

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const areCounts = (value: unknown): value is number[] => Array.isArray(value) && value.every(isCount);

function entryOf(source: ByteSource, dataStart: number, name: string, value: unknown): TensorEntry {
  const refuse = (why: string) => new UserError(`${source.name}: tensor ${name}: ${why}`);
  if (!isRecord(value)) throw refuse('its header entry is damaged');
  const { dtype: typeName, shape, data_offsets: offsets } = value;
  if (!areCounts(shape)) throw refuse('its shape is damaged');
  if (!areCounts(offsets) || offsets.length !== 2) throw refuse('its offsets are damaged');
  const dtype = typeof typeName === 'string' && Object.hasOwn(DTYPES, typeName) ? DTYPES[typeName] : undefined;
  if (!dtype)
    throw refuse(`dtype ${String(typeName)} cannot be read; convert it to one of ${Object.keys(DTYPES).join(', ')}`);
  const [start, end] = offsets;
  const needed = elementCount(shape) * bytesPer(dtype);
  if (end - start !== needed)
    throw refuse(`${String(typeName)} [${shape.join(', ')}] needs ${needed} bytes, its offsets give ${end - start}`);
  if (dataStart + end > source.size)
    throw refuse(
      `ends at byte ${dataStart + end}, but the file holds ${source.size}; it is truncated, download it again`,
    );
  return { dtype, shape, start: dataStart + start, bytes: needed };
}

/** The format wants the bytes covered once each: an overlap, a hole or a tail betrays a damaged or crafted file. */
function refuseGaps(source: ByteSource, dataStart: number, tensors: Map<string, TensorEntry>): void {
  const inOrder = [...tensors].sort(([, a], [, b]) => a.start - b.start || a.bytes - b.bytes);
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
