import { readdirSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from './kernel-sources.js';

/** The TensorFlow that `engine install` gives the package. */
export const TENSORFLOW_VERSION = '2.21.0';

export type Build = 'cpu' | 'gpu';

/** Contents of `engine.json` in an engine's folder; it is written last, so that a folder with it is complete. */
export interface Manifest {
  tensorflow: string;
  build: Build;
  /** Node's platform and architecture, e.g. `linux-x64`. */
  platform: string;
  /** The compiled addon and TensorFlow's framework library, relative to the folder. */
  binding: string;
  framework: string;
  /** Which kernels of ours it was compiled with, by `digestOf`. */
  kernels?: string | undefined;
  /** The addon of products, relative to the folder, and what it was compiled from, by `digestOf`. */
  products?: { file: string; sources: string } | undefined;
  /** The exported function that sets the least severity that TensorFlow logs, where it exports one. */
  logLevelSymbol?: string | undefined;
  /** The libraries that must be there, relative to the folder. */
  files: Record<string, { bytes: number; sha256: string }>;
}

export interface InstalledEngine extends Manifest {
  folder: string;
}

/** Whether an engine was compiled with this version's kernels. */
export const isCurrent = ({ kernels, products }: Manifest): boolean =>
  kernels === digestOf('kernels') && products?.sources === digestOf('products');

export const MANIFEST = 'engine.json';

/** Where engines are kept, outside node_modules so that every checkout and every update shares them. */
export function engineCache(): string {
  const own = process.env.MAETOK_ENGINE_DIR;
  if (own) return own;
  const cache = process.env.XDG_CACHE_HOME;
  return join(cache ? cache : join(homedir(), '.cache'), 'maetok', 'engine');
}

export const engineName = (version: string, build: Build): string => `${version}-${build}`;

/** The engines in the cache that are complete and made for this machine: the tested version first, then the newest. */
export function installedEngines(cache = engineCache()): InstalledEngine[] {
  return folders(cache)
    .map(name => readEngine(join(cache, name)))
    .filter(engine => engine !== undefined)
    .sort((a, b) => rank(b) - rank(a) || compareVersions(b.tensorflow, a.tensorflow));
}

const rank = ({ tensorflow }: Manifest): number => (tensorflow === TENSORFLOW_VERSION ? 1 : 0);

/** Compares dotted numbers, e.g. 2.9 < 2.21; more parts win over fewer. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map(version => version.split('.').map(part => Number.parseInt(part, 10) || 0));
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function folders(cache: string): string[] {
  try {
    return readdirSync(cache).filter(name => /^\d[\w.]*-(cpu|gpu)$/.test(name));
  } catch {
    return [];
  }
}

function readEngine(folder: string): InstalledEngine | undefined {
  try {
    const manifest = JSON.parse(readFileSync(join(folder, MANIFEST), 'utf8')) as Manifest;
    if (manifest.platform !== `${process.platform}-${process.arch}`) return undefined;
    // Digests were checked at installation; at every start a lost or cut file is found by its size.
    const whole = Object.entries(manifest.files).every(
      ([file, { bytes }]) => statSync(join(folder, file)).size === bytes,
    );
    return whole ? { ...manifest, folder } : undefined;
  } catch {
    return undefined;
  }
}
