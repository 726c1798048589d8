/*
 * WebAssembly expressions as values: `mul(x, add(y, 1))` is the bytes of a stack program together with its type. With
 * these a kernel is written once in TypeScript, specialised for the sizes at hand, and compiled by the JavaScript
 * engine itself: no compiler, no binary in the repository. Opcodes: WebAssembly core specification 2.0, appendix.
 */

import { fusedMultiplyAdd } from './features.js';

/** `mask` is the result of a vector comparison: all bits of a lane set or none. */
export type Type = 'i32' | 'f32' | 'f64' | 'f32x4' | 'f64x2' | 'i32x4' | 'mask';
export type Vector = 'f32x4' | 'f64x2' | 'i32x4' | 'mask';
type Number = Exclude<Type, 'mask'>;

/** Bytes in order, nested as they were put together: an expression holds those that it is made of, and copies none. */
export type Code = readonly (number | Code)[];

/** An expression that leaves one value of `type` on the stack. */
export interface Value<T extends Type = Type> {
  readonly type: T;
  readonly code: Code;
}

/** A number is a constant of the other operand's type, in every lane of a vector. */
export type Operand<T extends Type> = Value<T> | number;

export const VALUE_TYPE: Record<Type, number> = {
  i32: 0x7f,
  f32: 0x7d,
  f64: 0x7c,
  f32x4: 0x7b,
  f64x2: 0x7b,
  i32x4: 0x7b,
  mask: 0x7b,
};

/** Unsigned LEB128. */
export function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value >>> 0;
  do {
    const byte = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest === 0 ? byte : byte | 0x80);
  } while (rest !== 0);
  return bytes;
}

function signed(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value | 0; ; rest >>= 7) {
    const byte = rest & 0x7f;
    const next = rest >> 7;
    if ((next === 0 && !(byte & 0x40)) || (next === -1 && byte & 0x40)) return [...bytes, byte];
    bytes.push(byte | 0x80);
  }
}

const simd = (opcode: number): number[] => [0xfd, ...unsigned(opcode)];

const SPLAT = { i32x4: 0x11, f32x4: 0x13, f64x2: 0x14 } as const;
const LANE = { i32x4: 'i32', f32x4: 'f32', f64x2: 'f64' } as const;

/** A constant; for a vector, in every lane. */
export function constant<T extends Number>(type: T, value: number): Value<T> {
  return { type, code: CONSTANT[type](value) };
}

const bytesOf = (numbers: Float32Array | Float64Array): Uint8Array => new Uint8Array(numbers.buffer);
const everyLane =
  (vector: keyof typeof SPLAT) =>
  (value: number): number[] => [...CONSTANT[LANE[vector]](value), ...simd(SPLAT[vector])];

const CONSTANT: Record<Number, (value: number) => number[]> = {
  i32: value => [0x41, ...signed(value)],
  f32: value => [0x43, ...bytesOf(Float32Array.of(value))],
  f64: value => [0x44, ...bytesOf(Float64Array.of(value))],
  i32x4: everyLane('i32x4'),
  f32x4: everyLane('f32x4'),
  f64x2: everyLane('f64x2'),
};

export const i32 = (value: number): Value<'i32'> => constant('i32', value);

export const lift = <T extends Type>(type: T, x: Operand<T>): Value<T> =>
  typeof x === 'number' ? (constant(type as Number, x) as Value<T>) : x;

type Opcodes = Partial<Record<Type, number>>;

function opcodeOf(opcodes: Opcodes, type: Type): number[] {
  const opcode = opcodes[type];
  if (opcode === undefined) throw new TypeError(`no such instruction for ${type}`);
  return VALUE_TYPE[type] === 0x7b ? simd(opcode) : [opcode];
}

const binary =
  (opcodes: Opcodes) =>
  <T extends Type>(a: Value<T>, b: Operand<T>): Value<T> => ({
    type: a.type,
    code: [a.code, lift(a.type, b).code, opcodeOf(opcodes, a.type)],
  });

const unary =
  (opcodes: Opcodes) =>
  <T extends Type>(a: Value<T>): Value<T> => ({ type: a.type, code: [a.code, opcodeOf(opcodes, a.type)] });

export const add = binary({ i32: 0x6a, f32: 0x92, f64: 0xa0, f32x4: 0xe4, f64x2: 0xf0, i32x4: 0xae });
export const sub = binary({ i32: 0x6b, f32: 0x93, f64: 0xa1, f32x4: 0xe5, f64x2: 0xf1, i32x4: 0xb1 });
export const mul = binary({ i32: 0x6c, f32: 0x94, f64: 0xa2, f32x4: 0xe6, f64x2: 0xf2 });
export const div = binary({ i32: 0x6e, f32: 0x95, f64: 0xa3, f32x4: 0xe7, f64x2: 0xf3 });
export const min = binary({ f32: 0x96, f64: 0xa4, f32x4: 0xe8, f64x2: 0xf4 });
export const max = binary({ f32: 0x97, f64: 0xa5, f32x4: 0xe9, f64x2: 0xf5 });
export const and = binary({ i32: 0x71, mask: 0x4e, i32x4: 0x4e });
export const andNot = binary({ mask: 0x4f });
export const sqrt = unary({ f32: 0x91, f64: 0x9f, f32x4: 0xe3, f64x2: 0xef });
export const nearest = unary({ f32: 0x90, f32x4: 0x6a });
/** The position of the lowest set bit. */
export const trailingZeros = unary({ i32: 0x68 });

const FUSED: Opcodes = { f32x4: 0x105, f64x2: 0x107 };

/** a · b + c, rounded once where the machine can (relaxed SIMD), else twice. */
export function mulAdd<T extends Type>(a: Value<T>, b: Operand<T>, c: Value<T>): Value<T> {
  if (!fusedMultiplyAdd() || FUSED[a.type] === undefined) return add(c, mul(a, b));
  return { type: a.type, code: [a.code, lift(a.type, b).code, c.code, opcodeOf(FUSED, a.type)] };
}

type Truth<T extends Type> = T extends Vector ? 'mask' : 'i32';

const comparison =
  (opcodes: Opcodes) =>
  <T extends Type>(a: Value<T>, b: Operand<T>): Value<Truth<T>> => ({
    type: (VALUE_TYPE[a.type] === 0x7b ? 'mask' : 'i32') as Truth<T>,
    code: [a.code, lift(a.type, b).code, opcodeOf(opcodes, a.type)],
  });

/** Comparisons; of i32 as unsigned numbers, since they are addresses and counts. */
export const less = comparison({ i32: 0x49, f32: 0x5d, f64: 0x63, f32x4: 0x43 });
export const atLeast = comparison({ i32: 0x4f, f32: 0x60, f64: 0x66, f32x4: 0x46 });
export const greater = comparison({ i32: 0x4b, f32: 0x5e, f64: 0x64, f32x4: 0x44 });
export const equal = comparison({ i32: 0x46, f32: 0x5b, f64: 0x61, i32x4: 0x37 });
export const notEqual = comparison({ i32: 0x47, f32x4: 0x42 });

export const shiftLeft = <T extends 'i32' | 'i32x4'>(a: Value<T>, bits: number): Value<T> => ({
  type: a.type,
  code: [a.code, i32(bits).code, a.type === 'i32' ? 0x74 : simd(0xab)],
});

const convert =
  <From extends Type, To extends Type>(type: To, opcode: number[]) =>
  (a: Value<From>): Value<To> => ({ type, code: [a.code, opcode] });

export const promote = convert<'f32', 'f64'>('f64', [0xbb]);
export const demote = convert<'f64', 'f32'>('f32', [0xb6]);
/** The first two lanes in double precision. */
export const promoteLow = convert<'f32x4', 'f64x2'>('f64x2', simd(0x5f));
/** Two doubles as the first two lanes, zeros behind. */
export const demoteToLow = convert<'f64x2', 'f32x4'>('f32x4', simd(0x5e));
export const toInteger = convert<'f32x4', 'i32x4'>('i32x4', simd(0xf8));
/** The same bits as another kind of lanes. */
export const asFloat = convert<'i32x4', 'f32x4'>('f32x4', []);
export const anyTrue = convert<'mask', 'i32'>('i32', simd(0x53));
export const allTrue = convert<'mask', 'i32'>('i32', simd(0xa3));
/** One bit per lane of four. */
export const bitmask = convert<'mask', 'i32'>('i32', simd(0xa4));

type Lane<T extends Type> = T extends 'f32x4' ? 'f32' : T extends 'f64x2' ? 'f64' : 'i32';

export function splat<T extends 'i32x4' | 'f32x4' | 'f64x2'>(type: T, x: Value<Lane<T>>): Value<T> {
  return { type, code: [x.code, simd(SPLAT[type])] };
}

export function lane<T extends 'i32x4' | 'f32x4' | 'f64x2'>(v: Value<T>, index: number): Value<Lane<T>> {
  const opcode = { i32x4: 0x1b, f32x4: 0x1f, f64x2: 0x21 }[v.type];
  return { type: LANE[v.type] as Type as Lane<T>, code: [v.code, simd(opcode), index] };
}

export function replaceLane(v: Value<'f32x4'>, index: number, x: Value<'f32'>): Value<'f32x4'> {
  return { type: 'f32x4', code: [v.code, x.code, simd(0x20), index] };
}

/** Lanes `order` of a (0 to 3) and b (4 to 7). */
export function shuffle(a: Value<'f32x4'>, b: Value<'f32x4'>, order: readonly number[]): Value<'f32x4'> {
  const bytes = order.flatMap(i => [4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 3]);
  return { type: 'f32x4', code: [a.code, b.code, simd(0x0d), bytes] };
}

/** Bits of `a` where the mask is set, of `b` elsewhere. */
export function select<T extends Vector>(a: Value<T>, b: Value<T>, where: Value<'mask'>): Value<T> {
  return { type: a.type, code: [a.code, b.code, where.code, simd(0x52)] };
}

const LOAD: Record<Type, [opcode: number[], align: number]> = {
  i32: [[0x28], 2],
  f32: [[0x2a], 2],
  f64: [[0x2b], 3],
  f32x4: [simd(0), 4],
  f64x2: [simd(0), 4],
  i32x4: [simd(0), 4],
  mask: [simd(0), 4],
};

export function load<T extends Type>(type: T, address: Value<'i32'>, offset = 0): Value<T> {
  const [opcode, align] = LOAD[type];
  return { type, code: [address.code, opcode, align, unsigned(offset)] };
}

/** One number in memory, in every lane. */
export function loadSplat<T extends 'f32x4' | 'f64x2'>(type: T, address: Value<'i32'>, offset = 0): Value<T> {
  const [opcode, align] = type === 'f32x4' ? [0x09, 2] : [0x0a, 3];
  return { type, code: [address.code, simd(opcode), align, unsigned(offset)] };
}

const STORE: Record<Type, [opcode: number[], align: number]> = {
  i32: [[0x36], 2],
  f32: [[0x38], 2],
  f64: [[0x39], 3],
  f32x4: [simd(11), 4],
  f64x2: [simd(11), 4],
  i32x4: [simd(11), 4],
  mask: [simd(11), 4],
};

export function storeCode(address: Value<'i32'>, value: Value, offset: number): Code {
  const [opcode, align] = STORE[value.type];
  return [address.code, value.code, opcode, align, unsigned(offset)];
}

/** The number at `address` before `increment` was added to it, in one step for all threads. */
export function fetchAdd(address: Value<'i32'>, increment: number): Value<'i32'> {
  return { type: 'i32', code: [address.code, i32(increment).code, 0xfe, 0x1e, 2, 0] };
}
