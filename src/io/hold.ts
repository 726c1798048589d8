import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { rmdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { hostname } from 'node:os';
import { EXIT, tryLock, UserError, type Holder } from '../base/index.js';
import { alone, heldByFirst, requireSharedFolder, type Communicator } from '../distributed/index.js';
import { makeFolder } from './folder.js';

/** The file in a folder by which one process keeps others from writing there. */
export const LOCK = '.maetok.lock';

export interface HoldOptions {
  /** The option that names the folder, for the refusal. */
  option?: string;
  /** Where the lock is; default: in the folder, which is made. */
  lock?: string;
  /** Ranks that write into the folder together: rank 0 holds it for all. */
  communicator?: Communicator;
}

/**
 * Runs `body` while no other process may write into `folder`. A folder that was made for it and stayed empty is
 * removed again.
 * @throws UserError where another process is at work there, where nothing may be written, or where ranks do not share it.
 */
export async function holdFolder<T>(
  folder: string,
  { option = '--out', lock = join(folder, LOCK), communicator = alone }: HoldOptions,
  body: () => Promise<T>,
): Promise<T> {
  const hold = (held: () => Promise<T>): Promise<T> => holdHere(folder, option, lock, held);
  return await heldByFirst(communicator, hold, async () => {
    await requireSharedFolder(communicator, dirname(resolve(lock)));
    return await body();
  });
}

async function holdHere<T>(folder: string, option: string, path: string, body: () => Promise<T>): Promise<T> {
  const place = dirname(resolve(path));
  const missing = missingFolders(place);
  refuseUnwritable(dirname(missing.at(-1) ?? join(place, LOCK)), folder, option);
  await makeFolder(place);
  const lock = await tryLock(path);
  if ('heldBy' in lock) throw inUse(folder, option, lock.heldBy);
  try {
    return await body();
  } finally {
    lock.release();
    for (const made of missing) await rmdir(made).catch(() => undefined);
  }
}

function inUse(folder: string, option: string, { pid, host, since }: Holder): UserError {
  const where = host === undefined || host === hostname() ? '' : ` on ${host}`;
  const who = pid === undefined ? 'another process' : `process ${pid}${where} (since ${since})`;
  return new UserError(`${folder}: in use by ${who}; wait for it or choose another ${option}`, EXIT.failed);
}

/** The folders of a path that are to be made, deepest first. */
function missingFolders(path: string): string[] {
  return existsSync(path) ? [] : [path, ...missingFolders(dirname(path))];
}

function refuseUnwritable(existing: string, folder: string, option: string): void {
  if (!statSync(existing).isDirectory()) throw new UserError(`${option} ${folder}: ${existing} is not a folder`);
  try {
    accessSync(existing, constants.W_OK);
  } catch {
    throw new UserError(
      `${option} ${folder}: ${existing} may not be written to; choose another ${option}`,
      EXIT.failed,
    );
  }
}
