import { existsSync } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EXIT, UserError } from '../base/index.js';

export interface AtomicOptions {
  /** Replace an existing file; without it an existing one is refused. */
  force?: boolean;
}

/** Writes beside `path`, syncs, renames: the final name never holds half a file. */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array,
  { force = false }: AtomicOptions = {},
): Promise<void> {
  if (!force && existsSync(path))
    throw new UserError(`${path}: already exists; choose another --out or give --force`, EXIT.failed);
  await mkdir(dirname(path), { recursive: true });
  const partial = `${path}.${process.pid}.partial`;
  try {
    const file = await open(partial, 'w');
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}
