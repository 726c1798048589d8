import { existsSync } from 'node:fs';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EXIT, UserError } from '../base/index.js';
import { makeFolder } from './folder.js';

export interface AtomicOptions {
  /** Replace an existing file; without it an existing one is refused. */
  force?: boolean | undefined;
}

/** Writes to a temporary file next to `path`, syncs, renames: the final name never holds half a file. */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array,
  options: AtomicOptions = {},
): Promise<void> {
  await writeAtomic(path, options, file => file.writeFile(content));
}

/** Atomic writing of content that comes piece by piece: `write` receives the open temporary file next to `path`. */
export async function writeAtomic(
  path: string,
  { force = false }: AtomicOptions,
  write: (file: FileHandle) => Promise<void>,
): Promise<void> {
  refuseExisting(path, force);
  await makeFolder(dirname(path));
  const partial = `${path}.${process.pid}.partial`;
  try {
    const file = await open(partial, 'w');
    try {
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    // For a full disk Node names no file; for other errors it names the temporary one.
    throw error instanceof Error && 'code' in error ? Object.assign(error, { path, dest: undefined }) : error;
  }
}

/** Throws, before any work, if the output already exists and must not be replaced. */
export function refuseExisting(path: string, force: boolean | undefined): void {
  if (!force && existsSync(path))
    throw new UserError(`${path}: already exists; choose another --out or give --force`, EXIT.failed);
}
