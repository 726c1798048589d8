import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inPackage } from '../base/index.js';

/** What `engine install` compiles in C++: TensorFlow's kernels of ours, and products that need no TensorFlow. */
const FOLDERS = { kernels: inPackage('native'), products: inPackage('native/products') };

type Sources = keyof typeof FOLDERS;

/** Paths of what is compiled. */
export const sourcesOf = (what: Sources): string[] => filesOf(what).filter(path => path.endsWith('.cc'));

/** Tells an engine that was compiled with these sources from one that was compiled with others, or none. */
export function digestOf(what: Sources): string {
  const hash = createHash('sha256');
  for (const path of filesOf(what)) hash.update(path.slice(FOLDERS[what].length + 1)).update(readFileSync(path));
  return hash.digest('hex').slice(0, 16);
}

const filesOf = (what: Sources): string[] =>
  readdirSync(FOLDERS[what], { withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(({ name }) => join(FOLDERS[what], name))
    .sort();
