import { openArrow, openBytes, openParquet, type NpyOptions } from '../../io/index.js';
import { namedNpy, namedNpz, namedSafetensors } from './arrays.js';
import { namedHdf5 } from './hdf5.js';
import type { NamedArrays } from './named.js';
import { namedPt } from './pt.js';
import { namedColumns } from './columns.js';

export type { NamedArrays } from './named.js';

type Open = (path: string, options: NpyOptions) => Promise<NamedArrays>;

/** How each kind of file is opened, and the endings that its files have. */
const KINDS: Record<string, { open: Open; endings: RegExp }> = {
  npy: { open: namedNpy, endings: /\.npy$/i },
  npz: { open: namedNpz, endings: /\.npz$/i },
  safetensors: { open: namedSafetensors, endings: /\.safetensors$/i },
  pt: { open: namedPt, endings: /\.(pt|pth|ckpt|bin)$/i },
  parquet: { open: async path => namedColumns(await openParquet(path)), endings: /\.(parquet|pq)$/i },
  arrow: { open: async path => namedColumns(await openArrow(path)), endings: /\.(arrow|feather)$/i },
  hdf5: { open: namedHdf5, endings: /\.(h5|hdf5|hdf|he5)$/i },
};

/** Opens a file by what it begins with: names are not always right. */
export async function openNamed(path: string, options: NpyOptions): Promise<NamedArrays> {
  return await KINDS[await kindOf(path)].open(path, options);
}

/** The first of these kinds of which a folder has files, and those. */
export function filesOfOneKind(files: string[], kinds: readonly string[]): string[] {
  return kinds.map(kind => files.filter(name => KINDS[kind].endings.test(name))).find(found => found.length > 0) ?? [];
}

/** Where a file begins like none of them, its name decides whose complaint is heard. */
async function kindOf(path: string): Promise<string> {
  const named = Object.keys(KINDS).find(kind => KINDS[kind].endings.test(path)) ?? 'npy';
  const source = await openBytes(path);
  try {
    const start = Buffer.from(await source.read(0, Math.min(9, source.size)));
    const text = start.toString('latin1');
    // Both are zip archives.
    if (text.startsWith('PK')) return named === 'pt' ? 'pt' : 'npz';
    if (text.startsWith('NUMPY', 1)) return 'npy';
    if (text.startsWith('PAR1')) return 'parquet';
    if (text.startsWith('ARROW1') || text.startsWith('\xff\xff\xff\xff')) return 'arrow';
    if (text.startsWith('HDF\r\n', 1)) return 'hdf5';
    if (start[0] === 0x80 && start[1] <= 5) return 'pt';
    // A header of JSON, after its length.
    if (start.length === 9 && start[8] === 0x7b && start.readBigUInt64LE(0) < source.size) return 'safetensors';
    return named;
  } finally {
    await source.close();
  }
}
