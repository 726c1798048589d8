import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inPackage } from '../base/index.js';

/** Our kernels in C++, which `engine install` compiles; see native/. */
const KERNEL_FOLDER = inPackage('native');

/** Paths of what is compiled. */
export const kernelSources = (): string[] =>
  names()
    .filter(name => name.endsWith('.cc'))
    .map(pathOf);

/** Tells an engine that was compiled with these kernels from one that was compiled with others, or none. */
export function kernelDigest(): string {
  const hash = createHash('sha256');
  for (const name of names()) hash.update(name).update(readFileSync(pathOf(name)));
  return hash.digest('hex').slice(0, 16);
}

const names = (): string[] => readdirSync(KERNEL_FOLDER).sort();
const pathOf = (name: string): string => join(KERNEL_FOLDER, name);
