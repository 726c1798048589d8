import { openHdf5 } from '../../io/index.js';
import type { NamedArrays } from './named.js';

/** Datasets by their paths within the file, such as `train/latents`. */
export async function namedHdf5(path: string): Promise<NamedArrays> {
  const file = await openHdf5(path);
  const numbers = new Map(
    file.names.flatMap(name => {
      const info = file.info(name);
      return info ? [[name, info] as const] : [];
    }),
  );
  return {
    path,
    names: file.names,
    info: name => Promise.resolve(numbers.get(name) ?? { shape: [], dtype: 'uint8' }),
    numbers: () => Promise.resolve(numbers),
    values: name => Promise.resolve(file.values(name)),
    rows: name =>
      Promise.resolve({
        shape: numbers.get(name)!.shape,
        readRows: (start, end) => Promise.resolve(file.readRows(name, start, end)),
      }),
    close: () => {
      file.close();
      return Promise.resolve();
    },
  };
}
