import { closeSync, fstatSync, ftruncateSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { EXIT, UserError } from './errors.js';
import type { Log } from './log.js';

/** Who holds a lock, as written in its file; empty until that has been written. */
export interface Holder {
  pid?: number;
  host?: string;
  /** When the lock was taken, ISO 8601. */
  since?: string;
}

/** A lock that this process holds. */
export interface Lock {
  release: () => void;
}

/**
 * Takes the lock that a file represents, or says who holds it. The lock is the kernel's (flock): it ends with its
 * process, however that ends, and works between containers and, on NFS, between machines. What a killed process leaves behind
 * is an unlocked file. On file systems without such locks, the lock counts as held while the process named in the file is alive.
 */
export async function tryLock(path: string): Promise<Lock | { heldBy: Holder }> {
  const flock = await openFlock();
  for (;;) {
    const file = openSync(path, 'a+');
    const state = flock(file);
    const holder = readHolder(path);
    if (state === 'held' || (state === 'unsupported' && isAlive(holder))) {
      closeSync(file);
      return { heldBy: holder };
    }
    if (isAt(path, file)) return written(path, file);
    // Its former holder removed it after we opened it and before we locked it: the file that we hold no longer has a name.
    closeSync(file);
  }
}

const POLL_MS = 500;

/** Runs `body` once no other process holds the lock file. The file's folder must exist. */
export async function withLock<T>(
  path: string,
  { log, signal }: { log: Log; signal?: AbortSignal | undefined },
  body: () => Promise<T>,
): Promise<T> {
  let lock = await tryLock(path);
  if ('heldBy' in lock) log.note(`another maetok process is working there (${path}); waiting for it`);
  while ('heldBy' in lock) {
    await pause(POLL_MS, undefined, { signal }).catch(() => {
      throw new UserError('interrupted while waiting; nothing was written', EXIT.interrupted);
    });
    lock = await tryLock(path);
  }
  try {
    return await body();
  } finally {
    lock.release();
  }
}

function written(path: string, file: number): Lock {
  const holder: Holder = { pid: process.pid, host: hostname(), since: new Date().toISOString() };
  try {
    ftruncateSync(file);
    writeSync(file, `${JSON.stringify(holder)}\n`);
  } catch {
    // On a full disk the lock is still held; the file just does not say by whom.
  }
  return {
    release() {
      // Removed while still held, so that no other process's lock is removed.
      rmSync(path, { force: true });
      closeSync(file);
    },
  };
}

function readHolder(path: string): Holder {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Holder;
  } catch {
    return {};
  }
}

function isAt(path: string, file: number): boolean {
  const [named, ours] = [statSync(path, { throwIfNoEntry: false }), fstatSync(file)];
  return named?.ino === ours.ino && named.dev === ours.dev;
}

function isAlive({ pid, host }: Holder): boolean {
  if (pid === undefined || pid === process.pid || host !== hostname()) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

type Flock = (file: number) => 'ours' | 'held' | 'unsupported';

const EXCLUSIVE_AT_ONCE = 2 | 4;

/** The C library's flock; Windows and processors without a build of koffi have none. */
async function openFlock(): Promise<Flock> {
  try {
    const { default: koffi } = await import('koffi');
    const flock = koffi.load(null).func('int flock(int fd, int operation)') as (
      fd: number,
      operation: number,
    ) => number;
    const { EAGAIN, EINTR } = koffi.os.errno;
    const take: Flock = file => {
      if (flock(file, EXCLUSIVE_AT_ONCE) === 0) return 'ours';
      const code = koffi.errno();
      return code === EINTR ? take(file) : code === EAGAIN ? 'held' : 'unsupported';
    };
    return take;
  } catch {
    return () => 'unsupported';
  }
}
