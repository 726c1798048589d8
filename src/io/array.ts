/*
 * Arrays as files hold them. Data are always little-endian in memory (so is every machine that Node 20 runs on);
 * numbers of 16 and 8 bits are widened to float32 on the way in, because JavaScript has no array for them.
 */

import { float32FromFloat8 } from './float8.js';
import type { Float8, FloatDType } from './names.js';

export type DType =
  | 'bool'
  | 'uint8'
  | 'int8'
  | 'uint16'
  | 'int16'
  | 'uint32'
  | 'int32'
  | 'uint64'
  | 'int64'
  | Float8
  | FloatDType
  | 'float64';

export type TypedArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | BigUint64Array
  | BigInt64Array
  | Float32Array
  | Float64Array;

/** A dense array in C order. What was float8, float16 or bfloat16 on disk is read as `float32`. */
export interface NdArray {
  shape: number[];
  dtype: DType;
  data: TypedArray;
}

interface ArrayConstructor {
  new (buffer: ArrayBuffer, byteOffset?: number, length?: number): TypedArray;
  new (length: number): TypedArray;
}

interface Storage {
  bytes: 1 | 2 | 4 | 8;
  /** How the numbers lie on disk. */
  stored: ArrayConstructor;
}

const STORAGE: Record<DType, Storage> = {
  bool: { bytes: 1, stored: Uint8Array },
  uint8: { bytes: 1, stored: Uint8Array },
  int8: { bytes: 1, stored: Int8Array },
  uint16: { bytes: 2, stored: Uint16Array },
  int16: { bytes: 2, stored: Int16Array },
  uint32: { bytes: 4, stored: Uint32Array },
  int32: { bytes: 4, stored: Int32Array },
  uint64: { bytes: 8, stored: BigUint64Array },
  int64: { bytes: 8, stored: BigInt64Array },
  float8_e4m3fn: { bytes: 1, stored: Uint8Array },
  float8_e5m2: { bytes: 1, stored: Uint8Array },
  float8_e4m3fnuz: { bytes: 1, stored: Uint8Array },
  float8_e5m2fnuz: { bytes: 1, stored: Uint8Array },
  float8_e8m0fnu: { bytes: 1, stored: Uint8Array },
  float16: { bytes: 2, stored: Uint16Array },
  bfloat16: { bytes: 2, stored: Uint16Array },
  float32: { bytes: 4, stored: Float32Array },
  float64: { bytes: 8, stored: Float64Array },
};

/** Bytes of one number on disk. */
export const bytesPer = (dtype: DType): number => STORAGE[dtype].bytes;

/** Numbers in an array of this shape; 1 for a scalar's empty shape. */
export const elementCount = (shape: readonly number[]): number => shape.reduce((product, side) => product * side, 1);

/** The dtype that an array has once read. */
export const widened = (dtype: DType): DType =>
  dtype === 'float16' || dtype === 'bfloat16' || isFloat8(dtype) ? 'float32' : dtype;

/** Whether this is one of the formats that are read but never written. */
export const isFloat8 = (dtype: DType): dtype is Float8 => dtype.startsWith('float8_');

/** Bytes as they lie on disk → numbers. `bytes` may be used as the result's memory, and is swapped in place. */
export function decode(bytes: Uint8Array<ArrayBuffer>, dtype: DType, bigEndian = false): TypedArray {
  const { bytes: size, stored } = STORAGE[dtype];
  if (bigEndian) swapBytes(bytes, size);
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  const raw = new stored(aligned.buffer, aligned.byteOffset, aligned.byteLength / size);
  if (dtype === 'float16') return float32FromHalf(raw as Uint16Array);
  if (dtype === 'bfloat16') return float32FromBfloat(raw as Uint16Array);
  if (isFloat8(dtype)) return float32FromFloat8(raw as Uint8Array, dtype);
  return raw;
}

/** Numbers → bytes as they lie on disk. float16 and bfloat16 are rounded to the nearest, ties to even. */
export function encode({ dtype, data }: NdArray): Uint8Array {
  if (isFloat8(dtype)) throw new Error(`numbers are not written as ${dtype}`);
  let raw = data;
  if (dtype === 'float16' && !(data instanceof Uint16Array)) raw = halfFromFloat32(asFloat32(data));
  if (dtype === 'bfloat16' && !(data instanceof Uint16Array)) raw = bfloatFromFloat32(asFloat32(data));
  return new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength);
}

/** The numbers as float32; the same memory where they are float32 already. */
export function asFloat32(data: TypedArray): Float32Array {
  if (data instanceof Float32Array) return data;
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Float32Array.from(data, Number);
  return new Float32Array(data);
}

/** The numbers as float64; the same memory where they are float64 already. */
export function asFloat64(data: TypedArray): Float64Array {
  if (data instanceof Float64Array) return data;
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Float64Array.from(data, Number);
  return new Float64Array(data);
}

/** Integers as int32, or undefined if one of them is not an integer or does not fit. */
export function asInt32(data: TypedArray): Int32Array | undefined {
  if (data instanceof Int32Array) return data;
  const out = new Int32Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const value = Number(data[i]);
    out[i] = value;
    if (out[i] !== value) return undefined;
  }
  return out;
}

/** Numbers that lie apart by `strides` (in numbers, from the first) → C order; the same memory where they do already. */
export function gatherInCOrder(data: TypedArray, shape: readonly number[], strides: readonly number[]): TypedArray {
  if (isContiguous(shape, strides)) return data;
  const out = new (data.constructor as new (length: number) => TypedArray)(elementCount(shape));
  const index = new Array<number>(shape.length).fill(0);
  let from = 0;
  for (let to = 0; to < out.length; to++) {
    out[to] = data[from];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis];
      if (++index[axis] < shape[axis]) break;
      from -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return out;
}

function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== step) return false;
    step *= shape[axis];
  }
  return true;
}

function swapBytes(bytes: Uint8Array, size: number): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (size === 2) buffer.swap16();
  else if (size === 4) buffer.swap32();
  else if (size === 8) buffer.swap64();
}

let halfTable: Float32Array | undefined;

/** Every one of the 65,536 half-precision numbers, so that widening is a look-up. */
function halfValues(): Float32Array {
  if (halfTable) return halfTable;
  halfTable = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    const magnitude =
      exponent === 0
        ? fraction * 2 ** -24
        : exponent === 31
          ? fraction === 0
            ? Infinity
            : NaN
          : (1 + fraction / 1024) * 2 ** (exponent - 15);
    halfTable[bits] = bits & 0x8000 ? -magnitude : magnitude;
  }
  return halfTable;
}

function float32FromHalf(raw: Uint16Array): Float32Array {
  const table = halfValues();
  const out = new Float32Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = table[raw[i]];
  return out;
}

/** bfloat16 is the upper half of a float32. */
function float32FromBfloat(raw: Uint16Array): Float32Array {
  const words = new Uint32Array(raw.length);
  for (let i = 0; i < raw.length; i++) words[i] = raw[i] << 16;
  return new Float32Array(words.buffer);
}

function bfloatFromFloat32(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < out.length; i++) {
    const word = words[i];
    // Half a unit in the last place kept, and one bit more where that place is odd: ties go to even. A NaN stays one.
    out[i] = (word & 0x7fffffff) > 0x7f800000 ? (word >>> 16) | 64 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return out;
}

function halfFromFloat32(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < out.length; i++) out[i] = halfBits(words[i], Math.abs(values[i]));
  return out;
}

function halfBits(word: number, magnitude: number): number {
  const sign = (word >>> 16) & 0x8000;
  if (Number.isNaN(magnitude)) return sign | 0x7e00;
  if (magnitude >= 65520) return sign | 0x7c00;
  // Below 2^-14 the numbers are equally spaced by 2^-24; adding 2^-1·2^k makes float64 round there, ties to even.
  if (magnitude < 2 ** -14) return sign | roundEven(magnitude * 2 ** 24);
  const rounded = word + 0xfff + ((word >>> 13) & 1);
  return sign | ((((rounded & 0x7fffffff) - 0x38000000) >>> 13) & 0x7fff);
}

function roundEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
