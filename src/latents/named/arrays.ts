import { openNpy, openNpz, openSafetensors, type NpyOptions } from '../../io/index.js';
import type { NamedArrays } from './named.js';

/* Files whose arrays can be read as they lie. */

export async function namedNpy(path: string, options: NpyOptions): Promise<NamedArrays> {
  const file = await openNpy(path, options);
  const info = { shape: file.shape, dtype: file.dtype };
  return {
    path,
    names: ['latents'],
    info: () => Promise.resolve(info),
    numbers: () => Promise.resolve(new Map([['latents', info]])),
    values: () => file.read(),
    rows: () => Promise.resolve(file),
    close: () => file.close(),
  };
}

export async function namedSafetensors(path: string): Promise<NamedArrays> {
  const { tensors, ...file } = await openSafetensors(path);
  return {
    path,
    names: [...tensors.keys()],
    info: name => Promise.resolve(tensors.get(name)!),
    numbers: () => Promise.resolve(tensors),
    values: name => file.read(name),
    rows: name =>
      Promise.resolve({
        shape: tensors.get(name)!.shape,
        readRows: (start, end) => file.readRows(name, start, end),
      }),
    close: () => file.close(),
  };
}

export async function namedNpz(path: string, options: NpyOptions): Promise<NamedArrays> {
  const file = await openNpz(path);
  return {
    path,
    names: file.names,
    info: async name => {
      const array = await file.open(name, options);
      await array.close();
      return { shape: array.shape, dtype: array.dtype };
    },
    numbers: () => file.numbers(options),
    values: name => file.readValues(name),
    rows: name => file.open(name, options),
    close: () => file.close(),
  };
}
