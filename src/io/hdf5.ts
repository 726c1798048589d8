import type { Dataset, File, Metadata } from 'h5wasm/node';
import { messageOf, UserError } from '../base/index.js';
import { bytesPer, decode, elementCount, widened, type DType, type NdArray } from './array.js';
import type { ArrayInfo } from './lazy.js';
import type { TextArray } from './npy-text.js';

/** An HDF5 file's datasets of numbers and text, by their paths; those of other types are left out. */
export interface Hdf5File {
  readonly name: string;
  readonly names: string[];
  /** Undefined for text. */
  info(name: string): ArrayInfo | undefined;
  /** Rows of the first axis; of text all that there is. */
  readRows(name: string, start: number, end: number): NdArray;
  values(name: string): NdArray | TextArray;
  close(): void;
}

type Library = typeof import('h5wasm/node');

/** HDF5's numbers of the classes of types. */
const CLASS = { integer: 0, float: 1, text: 3 } as const;

/**
 * Opens an HDF5 file through h5wasm, which reads any chunk filter of HDF5's own. Everything in it happens at once, and
 * only what is asked for is read. @throws UserError where that optional package is absent or the file is damaged.
 */
export async function openHdf5(path: string): Promise<Hdf5File> {
  const library = await loaded(path);
  await library.ready;
  const { file, arrays } = open(library, path);
  const found = (name: string): Found => {
    const array = arrays.get(name);
    if (array) return array;
    throw new UserError(`${path}: has no dataset ${name}`);
  };
  const readRows = (name: string, start: number, end: number): NdArray => {
    const { dataset, dtype } = found(name);
    if (!dtype) throw new UserError(`${path}#${name}: holds text, not numbers`);
    const shape = dataset.shape!.length === 0 ? [] : [end - start, ...dataset.shape!.slice(1)];
    try {
      const bytes = rawRows(library, dataset, shape, start);
      return { shape, dtype: widened(dtype), data: decode(bytes, dtype) };
    } catch (error) {
      throw new UserError(`${path}#${name}: cannot be read (${reasonOf(error)}); it is damaged or packed by a plugin`);
    }
  };
  return {
    name: path,
    names: [...arrays.keys()],
    info(name) {
      const { dataset, dtype } = found(name);
      return dtype && { dtype, shape: dataset.shape! };
    },
    readRows,
    values(name) {
      const { dataset, dtype } = found(name);
      const [rows = 1] = dataset.shape!;
      if (dtype) return readRows(name, 0, rows);
      return { shape: dataset.shape!, text: (dataset.value as string[]).map(String) };
    },
    close: () => {
      file.close();
    },
  };
}

/** Probed for when it is needed: what else maetok does works without it. */
async function loaded(path: string): Promise<Library> {
  try {
    return await import('h5wasm/node');
  } catch {
    throw new UserError(
      `${path}: HDF5 needs the optional package h5wasm, which is not installed: \`npm install h5wasm@0.10.3\`, or save the arrays in Python with numpy.savez`,
    );
  }
}

interface Found {
  dataset: Dataset;
  /** Undefined for text. */
  dtype: DType | undefined;
}

function open({ File, Dataset, Module }: Library, path: string): { file: File; arrays: Map<string, Found> } {
  // Without it HDF5 prints its trace of an error, and goes on.
  Module.activate_throwing_error_handler();
  try {
    const file = new File(path, 'r');
    const arrays = new Map<string, Found>();
    for (const name of file.paths()) {
      const dataset = file.get(name);
      if (!(dataset instanceof Dataset) || dataset.shape === null) continue;
      const dtype = dtypeOf(dataset.metadata);
      if (dtype !== undefined || dataset.metadata.type === CLASS.text) arrays.set(name, { dataset, dtype });
    }
    return { file, arrays };
  } catch (error) {
    throw new UserError(
      `${path}: cannot be read as HDF5 (${reasonOf(error)}); it is damaged or still open for writing`,
    );
  }
}

/** The innermost of the reasons that HDF5 gives, a line each. */
function reasonOf(error: unknown): string {
  const reasons = [...messageOf(error).matchAll(/^ *#\d+: .*\(\): (.*)$/gm)].map(([, reason]) => reason);
  return reasons.at(-1) ?? messageOf(error).split('\n')[0];
}

function dtypeOf({ type, size, signed }: Metadata): DType | undefined {
  if (type === CLASS.float) return ({ 2: 'float16', 4: 'float32', 8: 'float64' } as const)[size];
  if (type !== CLASS.integer) return undefined;
  return ([1, 2, 4, 8].includes(size) ? `${signed ? '' : 'u'}int${8 * size}` : undefined) as DType | undefined;
}

/** The bytes of the numbers, in this machine's order: h5wasm's own arrays know no float16. */
function rawRows(
  { Module }: Library,
  { file_id, path, metadata }: Dataset,
  shape: number[],
  start: number,
): Uint8Array<ArrayBuffer> {
  const bytes = elementCount(shape) * bytesPer(dtypeOf(metadata)!);
  const pointer = Module._malloc(bytes);
  if (pointer === 0) throw new Error(`${bytes} bytes do not fit into h5wasm’s memory`);
  try {
    const counts = shape.map(BigInt);
    const offsets = shape.map((_, axis) => BigInt(axis === 0 ? start : 0));
    Module.get_dataset_data(
      file_id,
      path,
      counts,
      offsets,
      shape.map(() => 1n),
      BigInt(pointer),
    );
    return new Uint8Array(Module.HEAPU8.slice(pointer, pointer + bytes));
  } finally {
    Module._free(pointer);
  }
}
