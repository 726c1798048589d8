import { messageOf, UserError } from '../base/index.js';
import { elementCount } from './array.js';
import { openBytes } from './bytes.js';
import { Inert, Name, unpickle, type PickleWorld } from './pickle.js';

/** An array of bytes that a pickle holds: where its numbers lie in the file, or in memory. */
export class PickledBytes {
  constructor(
    readonly shape: number[],
    /** In bytes, from the start of the file. */
    readonly offset: number,
    /** The numbers, where the file holds them in another encoding (Python 3 writes Python 2's protocol as text). */
    readonly decoded?: Uint8Array,
  ) {}
}

/** `numpy.ndarray` before and after its state is known. */
class PickledArray extends Inert {}
class Dtype extends Inert {}

const textOf = (value: unknown): string =>
  value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : String(value);

const FUNCTIONS: Record<string, (args: unknown[]) => unknown> = {
  'numpy.core.multiarray._reconstruct': args => new PickledArray('numpy.ndarray', args),
  'numpy.core.numeric._frombuffer': ([buffer, dtype, shape, order]) => {
    const array = new PickledArray('numpy.ndarray', []);
    array.state = [1, shape, dtype, textOf(order) === 'F', buffer];
    return array;
  },
  'numpy.dtype': args => new Dtype('numpy.dtype', args),
  // How Python 3 writes bytes in Python 2's protocol.
  '_codecs.encode': ([text]) => Buffer.from(String(text), 'latin1'),
};

/**
 * A dict of plain values and arrays of unsigned bytes, as `pickle.dump` of Python 2 or 3 wrote it. Nothing of the file's
 * is run. @throws UserError for what is none, or speaks of anything but NumPy's arrays.
 */
export async function readPickledDict(path: string): Promise<Map<string, unknown>> {
  const source = await openBytes(path);
  const bytes = await source.read(0, source.size).finally(() => source.close());
  const world: PickleWorld = {
    resolve(full) {
      const name = full.replace('numpy._core.', 'numpy.core.');
      if (Object.hasOwn(FUNCTIONS, name)) return new Name(name, FUNCTIONS[name]);
      if (name === 'numpy.ndarray') return new Name(name);
      throw new UserError(`${path}: its pickle refers to ${full}, which images do not need; nothing was executed`);
    },
    persistent: () => {
      throw new Error('something outside the pickle');
    },
    oldString: raw => raw,
  };
  try {
    const { value } = unpickle(bytes, 0, world);
    if (!(value instanceof Map)) throw new Error('it is not a dict');
    return new Map([...value].map(([key, item]) => [textOf(key), plain(item, bytes)]));
  } catch (error) {
    throw error instanceof UserError
      ? error
      : new UserError(`${path}: cannot be read as a pickle of images (${messageOf(error)})`);
  }
}

/** Arrays with their places, byte strings in lists as text. */
function plain(value: unknown, file: Uint8Array): unknown {
  if (Array.isArray(value)) return value.map((item: unknown) => (item instanceof Uint8Array ? textOf(item) : item));
  if (!(value instanceof PickledArray)) return value;
  const [, shape, dtype, isFortran, raw] = value.state as unknown[];
  const type = dtype instanceof Dtype ? textOf(dtype.args[0]) : '';
  if (!/^[|<]?u1$/.test(type) || isFortran === true || !(raw instanceof Uint8Array) || !Array.isArray(shape))
    throw new Error(`an array of ${type || 'an unknown type'}, not of unsigned bytes in C order`);
  if (raw.length !== elementCount(shape as number[]))
    throw new Error(`an array [${shape.join(', ')}] of ${raw.length} bytes`);
  return raw.buffer === file.buffer
    ? new PickledBytes(shape as number[], raw.byteOffset - file.byteOffset)
    : new PickledBytes(shape as number[], 0, raw);
}
