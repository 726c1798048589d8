import { widened, type DType, type NdArray } from './array.js';

/** What is known of an array before its numbers are read. */
export interface ArrayInfo {
  dtype: DType;
  shape: number[];
}

/** An array that is read when it is needed, so that files larger than memory can be gone through. */
export interface LazyArray extends ArrayInfo {
  read(): Promise<NdArray>;
}

/** Named arrays in a file. */
export interface ArrayFile {
  /** As stored; what is read of float8, float16 or bfloat16 comes as float32. */
  tensors: Map<string, ArrayInfo>;
  /** Members that no array here can hold (complex numbers, sparse tensors, …), with what they are. */
  unread?: Map<string, string>;
  /** Further free text in the file; empty where its format has none. */
  metadata: Record<string, string>;
  /** One array; a UserError naming the file where there is none of this name. */
  read(name: string): Promise<NdArray>;
  /** Likewise, while everything waits, where the format allows it. */
  readSync?: (name: string) => NdArray;
  close(): Promise<void>;
}

/** Every array of a file, read one after the other. */
export async function readAllArrays(file: ArrayFile): Promise<Record<string, NdArray>> {
  const arrays: [string, NdArray][] = [];
  for (const name of file.tensors.keys()) arrays.push([name, await file.read(name)]);
  return Object.fromEntries(arrays);
}

/**
 * Every array of a file, read from it whenever its numbers are looked at, so that of large weights no more than one is in
 * memory at a time. Where the format does not allow that, they are all read now. The file must stay open.
 */
export async function arraysOf(file: ArrayFile): Promise<Record<string, NdArray>> {
  if (!file.readSync) return await readAllArrays(file);
  let last: { name: string; data: NdArray['data'] } | undefined;
  const look = (name: string): NdArray['data'] => {
    if (last?.name !== name) last = { name, data: file.readSync!(name).data };
    return last.data;
  };
  return Object.fromEntries(
    [...file.tensors].map(([name, { shape, dtype }]) => [
      name,
      {
        shape,
        dtype: widened(dtype),
        get data() {
          return look(name);
        },
      },
    ]),
  );
}
