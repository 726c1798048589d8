import {
  add,
  atLeast,
  i32,
  lift,
  storeCode,
  unsigned,
  VALUE_TYPE,
  type Code,
  type Operand,
  type Type,
  type Value,
} from './values.js';

/** A variable of a function; as a value it is read. */
export interface Local<T extends Type = Type> extends Value<T> {
  readonly index: number;
}

export type Parameters = Record<string, Type>;
type Locals<P extends Parameters> = { [N in keyof P]: Local<P[N]> };

/** A function of the module, callable from its other functions. */
export interface Routine {
  readonly index: number;
  readonly result: Type | undefined;
}

/** The statements of one function, appended in order. */
export class Body {
  readonly code: Code[] = [];

  /** `types`: of the parameters, then of the variables as they are declared. */
  constructor(readonly types: Type[]) {}

  local<T extends Type>(type: T, initial?: Operand<T>): Local<T> {
    const index = this.types.push(type) - 1;
    const variable = { type, index, code: [0x20, ...unsigned(index)] };
    if (initial !== undefined) this.set(variable, initial);
    return variable;
  }

  set<T extends Type>(variable: Local<T>, value: Operand<T>): void {
    this.code.push([lift(variable.type, value).code, 0x21, unsigned(variable.index)]);
  }

  store(address: Value<'i32'>, value: Value, offset = 0): void {
    this.code.push(storeCode(address, value, offset));
  }

  /** `statements` for i = from, from + step, … while i < to (unsigned). */
  range(from: Operand<'i32'>, to: Operand<'i32'>, step: number, statements: (i: Local<'i32'>) => void): void {
    const i = this.local('i32', from);
    this.code.push([0x02, 0x40, 0x03, 0x40, atLeast(i, to).code, 0x0d, 1]);
    statements(i);
    this.set(i, add(i, step));
    this.code.push([0x0c, 0, 0x0b, 0x0b]);
  }

  /** Once, and again while `condition` holds afterwards: the tightest loop there is. */
  repeatWhile(condition: Value<'i32'>, statements: () => void): void {
    this.code.push([0x03, 0x40]);
    statements();
    this.code.push([condition.code, 0x0d, 0, 0x0b]);
  }

  while(condition: Value<'i32'>, statements: () => void): void {
    this.if(condition, () => this.repeatWhile(condition, statements));
  }

  if(condition: Value<'i32'>, then: () => void, otherwise?: () => void): void {
    this.code.push([condition.code, 0x04, 0x40]);
    then();
    if (otherwise) {
      this.code.push([0x05]);
      otherwise();
    }
    this.code.push([0x0b]);
  }

  return(value?: Value): void {
    this.code.push([value?.code ?? [], 0x0f]);
  }

  /** Calls a routine that gives nothing back. */
  call(routine: Routine, ...parameters: Value[]): void {
    this.code.push(call(routine, parameters));
  }

  /** Sets `bytes` bytes from `address` on to zero. */
  clear(address: Value<'i32'>, bytes: Operand<'i32'>): void {
    this.code.push([address.code, i32(0).code, lift('i32', bytes).code, 0xfc, 0x0b, 0]);
  }
}

const call = (routine: Routine, parameters: Value[]): Code => [
  parameters.map(parameter => parameter.code),
  0x10,
  unsigned(routine.index),
];

/** What a routine gives back, as a value. */
export function result<T extends Type>(type: T, routine: Routine, ...parameters: Value[]): Value<T> {
  if (routine.result !== type) throw new TypeError(`the routine gives ${routine.result ?? 'nothing'}, not ${type}`);
  return { type, code: call(routine, parameters) };
}

interface Definition {
  name: string | undefined;
  parameters: Type[];
  result: Type | undefined;
  locals: Type[];
  code: Code;
}

/**
 * A WebAssembly module under construction. It imports a shared memory as `env.memory` and the natural logarithm
 * as `env.log`, which WebAssembly has no instruction for; further functions where `imported` says so.
 */
export class SimdModule {
  readonly log: Routine = { index: 0, result: 'f64' };
  private readonly imports: { name: string; parameters: Type[]; result?: Type }[] = [
    { name: 'log', parameters: ['f64'], result: 'f64' },
  ];
  private readonly definitions: Definition[] = [];

  /** `pages` of memory that threads share; without, it works in whatever memory, of one thread, it is given. */
  constructor(private readonly pages?: number) {}

  /** A function without a result that the module is given as `env.NAME`. To be declared before all routines. */
  imported(name: string, parameters: Parameters): Routine {
    if (this.definitions.length > 0) throw new TypeError(`${name} must be imported before routines are added`);
    const index = this.imports.push({ name, parameters: Object.values(parameters) }) - 1;
    return { index, result: undefined };
  }

  /** A function; `name` exports it. */
  routine<P extends Parameters>(
    name: string | undefined,
    parameters: P,
    resultType: Type | undefined,
    statements: (f: Body, parameters: Locals<P>) => void,
  ): Routine {
    const types = Object.values(parameters);
    const body = new Body([...types]);
    const locals = Object.fromEntries(
      Object.entries(parameters).map(([key, type], index) => [key, { type, index, code: [0x20, ...unsigned(index)] }]),
    ) as unknown as Locals<P>;
    statements(body, locals);
    this.definitions.push({
      name,
      parameters: types,
      result: resultType,
      locals: body.types.slice(types.length),
      code: body.code,
    });
    return { index: this.imports.length + this.definitions.length - 1, result: resultType };
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const { imports, definitions } = this;
    const signature = (parameters: Type[], type?: Type): Code => [
      0x60,
      list(parameters.map(parameter => VALUE_TYPE[parameter])),
      list(type ? [VALUE_TYPE[type]] : []),
    ];
    const types = [...imports, ...definitions].map(d => signature(d.parameters, d.result));
    const limits = this.pages === undefined ? [0x00, 0] : [0x03, unsigned(this.pages), unsigned(this.pages)];
    const memory = [text('env'), text('memory'), 0x02, limits];
    const given = imports.map(({ name }, i) => [text('env'), text(name), 0x00, unsigned(i)]);
    const first = imports.length;
    const exported = definitions.flatMap(({ name }, i) => (name ? [[text(name), 0x00, unsigned(first + i)]] : []));
    return flat([
      [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      section(1, list(types)),
      section(2, list([memory, ...given])),
      section(3, list(definitions.map((_, i) => unsigned(first + i)))),
      section(7, list(exported)),
      section(10, list(definitions.map(functionCode))),
    ]);
  }
}

const functionCode = ({ locals, code }: Definition): Code =>
  sized([list(locals.map(type => [1, VALUE_TYPE[type]])), code, 0x0b]);

const list = (items: Code): Code => [unsigned(items.length), items];
const section = (id: number, content: Code): Code => [id, sized(content)];
const sized = (content: Code): Code => [unsigned(size(content)), content];
const text = (name: string): Code => [unsigned(name.length), ...Buffer.from(name, 'latin1')];

function size(code: Code): number {
  let bytes = 0;
  for (const part of code) bytes += typeof part === 'number' ? 1 : size(part);
  return bytes;
}

function flat(code: Code): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size(code));
  let at = 0;
  const write = (some: Code): void => {
    for (const part of some) {
      if (typeof part === 'number') bytes[at++] = part;
      else write(part);
    }
  };
  write(code);
  return bytes;
}
