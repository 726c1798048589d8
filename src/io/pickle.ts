/*
 * A reader of Python's pickle format that runs nothing. A pickle is a program for a small stack machine, and in Python
 * it may call any function by name; here only the operations that data need exist, and a name means what the caller's
 * list says or the file is refused. It is our own because the npm package `pickleparser` (0.2.1) walks backwards for
 * ever on a crafted negative length, and lets a file set properties on the functions that it is given.
 */

/** What a name of the list stands for: called with the file's arguments, or kept as it is. */
export class Name {
  constructor(
    readonly name: string,
    /** Absent: the name itself is a value (a dtype, a storage kind), and calling it is refused. */
    readonly call?: (args: unknown[]) => unknown,
  ) {}
}

/** An object of a listed class without meaning here, kept so that the objects around it can be read. */
export class Inert {
  /** What the file would have restored it from. */
  state: unknown;

  constructor(
    readonly name: string,
    readonly args: unknown[],
  ) {}
}

export interface PickleWorld {
  /** The meaning of `module.name`; throws where it is not listed. */
  resolve(name: string): unknown;
  /** What lies outside the pickle, by its persistent id. */
  persistent(id: unknown): unknown;
  /** What a string of Python 2 is, which may be text or bytes; default: text. */
  oldString?(bytes: Uint8Array): unknown;
}

/** The bytes ended before the pickle did. */
export class PickleEnds extends Error {}

/** The pickle does what no data need. */
class PickleRefused extends Error {}

/** Reads one pickle that starts at `start`; `end` is one past its last byte. */
export function unpickle(bytes: Uint8Array, start: number, world: PickleWorld): { value: unknown; end: number } {
  const machine = new Machine(bytes, start, world);
  for (;;) {
    const code = machine.byte();
    if (code === STOP) return { value: machine.pop(), end: machine.position };
    const operation = OPERATIONS[code];
    if (!operation) throw new PickleRefused(`pickle operation 0x${code.toString(16)} at byte ${machine.position - 1}`);
    operation(machine);
  }
}

const MARK = Symbol('mark');
const STOP = 0x2e;
const utf8 = new TextDecoder('utf-8');
const latin1 = new TextDecoder('latin1');

class Machine {
  private readonly stack: unknown[] = [];
  private readonly memo = new Map<number, unknown>();
  private readonly view: DataView;

  constructor(
    private readonly bytes: Uint8Array,
    public position: number,
    readonly world: PickleWorld,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Steps over `length` bytes and returns where they began. */
  private skip(length: number): number {
    const start = this.position;
    if (!(length >= 0)) throw new PickleRefused(`a length of ${length} at byte ${start}`);
    if (start + length > this.bytes.length) throw new PickleEnds(`at byte ${this.bytes.length}`);
    this.position = start + length;
    return start;
  }

  byte = (): number => this.view.getUint8(this.skip(1));
  uint16 = (): number => this.view.getUint16(this.skip(2), true);
  uint32 = (): number => this.view.getUint32(this.skip(4), true);
  int32 = (): number => this.view.getInt32(this.skip(4), true);
  uint64 = (): number => Number(this.view.getBigUint64(this.skip(8), true));
  float64 = (): number => this.view.getFloat64(this.skip(8), false);

  raw(length: number): Uint8Array {
    const start = this.skip(length);
    return this.bytes.subarray(start, start + length);
  }

  text = (length: number): string => utf8.decode(this.raw(length));
  oldString = (length: number): unknown =>
    this.world.oldString ? this.world.oldString(this.raw(length)) : latin1.decode(this.raw(length));

  line(): string {
    const end = this.bytes.indexOf(0x0a, this.position);
    if (end < 0) throw new PickleEnds('within a line');
    const text = this.text(end - this.position);
    this.skip(1);
    return text;
  }

  /** A whole number of any length, two's complement, lowest byte first. */
  long(length: number): number | bigint {
    const bytes = this.raw(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]);
    if (length > 0 && bytes[length - 1] & 0x80) value -= 1n << BigInt(8 * length);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  push(value: unknown): void {
    this.stack.push(value);
  }

  pop(): unknown {
    if (this.stack.length === 0) throw new PickleRefused(`nothing to take at byte ${this.position}`);
    return this.stack.pop();
  }

  top(): unknown {
    if (this.stack.length === 0) throw new PickleRefused(`nothing to look at at byte ${this.position}`);
    return this.stack[this.stack.length - 1];
  }

  /** Everything since the last mark, which goes too. */
  popMarked(): unknown[] {
    const mark = this.stack.lastIndexOf(MARK);
    if (mark < 0) throw new PickleRefused(`no mark before byte ${this.position}`);
    const items = this.stack.splice(mark);
    items.shift();
    return items;
  }

  /** The last `count` values as a tuple. */
  tuple(count: number): void {
    const items = Array.from({ length: count }, () => this.pop());
    this.push(items.reverse());
  }

  remember(index = this.memo.size): void {
    this.memo.set(index, this.top());
  }

  recall(index: number): void {
    if (!this.memo.has(index)) throw new PickleRefused(`nothing was remembered under ${index}`);
    this.push(this.memo.get(index));
  }
}

function extend(machine: Machine, items: unknown[]): void {
  const list = machine.top();
  if (list instanceof Inert) return;
  if (!Array.isArray(list)) throw new PickleRefused('items for something that is not a list');
  for (const item of items) list.push(item);
}

function assign(machine: Machine, items: unknown[]): void {
  const map = machine.top();
  if (map instanceof Inert) return;
  if (!(map instanceof Map) || items.length % 2 !== 0)
    throw new PickleRefused('keys and values for something that is not a dict');
  for (let i = 0; i < items.length; i += 2) map.set(items[i], items[i + 1]);
}

function add(machine: Machine, items: unknown[]): void {
  const set = machine.top();
  if (!(set instanceof Set)) throw new PickleRefused('members for something that is not a set');
  for (const item of items) set.add(item);
}

function call(machine: Machine): void {
  const args = machine.pop();
  const name = machine.pop();
  if (!(name instanceof Name) || !name.call || !Array.isArray(args))
    throw new PickleRefused(`a call of ${name instanceof Name ? name.name : 'something that is not a function'}`);
  machine.push(name.call(args));
}

/** State for an object: of a dict's attributes (a state dict's `_metadata`) nothing is needed. */
function build(machine: Machine): void {
  const state = machine.pop();
  const target = machine.top();
  if (target instanceof Inert) target.state = state;
  else if (!(target instanceof Map)) throw new PickleRefused('state for something that has none');
}

function stackGlobal(machine: Machine): void {
  const name = machine.pop();
  const module = machine.pop();
  if (typeof name !== 'string' || typeof module !== 'string') throw new PickleRefused('a name that is not text');
  machine.push(machine.world.resolve(`${module}.${name}`));
}

function protocol(machine: Machine): void {
  const version = machine.byte();
  if (version > 5) throw new PickleRefused(`pickle protocol ${version}`);
}

/** Every operation that there is here, by its code. */
const OPERATIONS: Partial<Record<number, (machine: Machine) => void>> = {
  0x80: protocol,
  0x95: m => void m.raw(8), // FRAME: a length that only streams need
  0x28: m => m.push(MARK),
  0x30: m => void m.pop(), // POP
  0x31: m => void m.popMarked(), // POP_MARK
  0x32: m => m.push(m.top()), // DUP

  0x4e: m => m.push(null),
  0x88: m => m.push(true),
  0x89: m => m.push(false),
  0x4a: m => m.push(m.int32()), // BININT
  0x4b: m => m.push(m.byte()), // BININT1
  0x4d: m => m.push(m.uint16()), // BININT2
  0x8a: m => m.push(m.long(m.byte())), // LONG1
  0x8b: m => m.push(m.long(m.int32())), // LONG4
  0x47: m => m.push(m.float64()), // BINFLOAT

  0x58: m => m.push(m.text(m.uint32())), // BINUNICODE
  0x8c: m => m.push(m.text(m.byte())), // SHORT_BINUNICODE
  0x8d: m => m.push(m.text(m.uint64())), // BINUNICODE8
  0x54: m => m.push(m.oldString(m.int32())), // BINSTRING, of Python 2
  0x55: m => m.push(m.oldString(m.byte())), // SHORT_BINSTRING
  0x42: m => m.push(m.raw(m.uint32())), // BINBYTES
  0x43: m => m.push(m.raw(m.byte())), // SHORT_BINBYTES
  0x8e: m => m.push(m.raw(m.uint64())), // BINBYTES8
  0x96: m => m.push(m.raw(m.uint64())), // BYTEARRAY8

  0x29: m => m.push([]), // EMPTY_TUPLE
  0x85: m => m.tuple(1),
  0x86: m => m.tuple(2),
  0x87: m => m.tuple(3),
  0x74: m => m.push(m.popMarked()), // TUPLE
  0x5d: m => m.push([]), // EMPTY_LIST
  0x61: m => extend(m, [m.pop()]), // APPEND
  0x65: m => extend(m, m.popMarked()), // APPENDS
  0x7d: m => m.push(new Map()), // EMPTY_DICT
  0x73: m => assign(m, [m.pop(), m.pop()].reverse()), // SETITEM
  0x75: m => assign(m, m.popMarked()), // SETITEMS
  0x8f: m => m.push(new Set()), // EMPTY_SET
  0x90: m => add(m, m.popMarked()), // ADDITEMS
  0x91: m => m.push(new Set(m.popMarked())), // FROZENSET

  0x71: m => m.remember(m.byte()), // BINPUT
  0x72: m => m.remember(m.uint32()), // LONG_BINPUT
  0x94: m => m.remember(), // MEMOIZE
  0x68: m => m.recall(m.byte()), // BINGET
  0x6a: m => m.recall(m.uint32()), // LONG_BINGET

  0x63: m => m.push(m.world.resolve([m.line(), m.line()].join('.'))), // GLOBAL
  0x93: stackGlobal,
  0x51: m => m.push(m.world.persistent(m.pop())), // BINPERSID
  0x52: call, // REDUCE
  0x81: call, // NEWOBJ: a class and its arguments
  0x62: build,
};
