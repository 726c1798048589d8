import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { silentLog, tryLock, withLock } from '../../src/base/index.js';
import { holdFolder, LOCK } from '../../src/io/index.js';
import { whileHeld } from '../helpers/holder.js';
import { tempFolder } from '../helpers/temp.js';

const folder = tempFolder();
let count = 0;
const fresh = (): string => join(folder, `folder-${count++}`);
const at = (path: string): Promise<string> => holdFolder(path, {}, () => Promise.resolve('done'));

describe('a folder that is being written into', () => {
  it('is refused to another process while its holder lives, and free at once when that was killed', async () => {
    const path = fresh();
    await whileHeld(path, async ({ pid }) => {
      await expect(at(path)).rejects.toThrow(
        new RegExp(`^${path}: in use by process ${pid} \\(since 2.*\\); wait for it or choose another --out$`),
      );
    });
    expect(existsSync(join(path, LOCK))).toBe(true);
    expect(await at(path)).toBe('done');
  });

  it('is refused within one process too, and free again after an error', async () => {
    const path = fresh();
    const outer = holdFolder(path, { option: '--state' }, () =>
      holdFolder(path, { option: '--state' }, () => at(path)),
    );
    await expect(outer).rejects.toThrow(/in use by process \d+ .*another --state/);
    expect(await at(path)).toBe('done');
  });

  it('is not held by a file that names a living process, such as one that has got a dead one’s number', async () => {
    const path = fresh();
    mkdirSync(path);
    const holder = { pid: process.ppid, host: hostname(), since: '2026-01-01T00:00:00.000Z' };
    writeFileSync(join(path, LOCK), JSON.stringify(holder));
    expect(await at(path)).toBe('done');
  });

  it('holds no lock afterwards, and is removed with those made for it where it stayed empty', async () => {
    const path = fresh();
    await holdFolder(path, {}, () => writeFile(join(path, 'result'), ''));
    expect(readdirSync(path)).toEqual(['result']);
    const empty = fresh();
    await expect(holdFolder(join(empty, 'run'), {}, () => Promise.reject(new Error('no data')))).rejects.toThrow(
      'no data',
    );
    expect(existsSync(empty)).toBe(false);
  });

  it('may not lie below a file', async () => {
    await expect(at('package.json/run')).rejects.toThrow(/^--out package.json\/run: .*package.json is not a folder$/);
  });
});

describe('work that waits for a lock', () => {
  it('proceeds when the holder has released it, one at a time', async () => {
    const path = join(folder, 'waited.lock');
    const first = await tryLock(path);
    const notes: string[] = [];
    const log = { ...silentLog, note: (message: string) => void notes.push(message) };
    let released = false;
    const second = withLock(path, { log }, () => Promise.resolve(released));
    await new Promise(resolve => setTimeout(resolve, 100));
    released = true;
    if ('release' in first) first.release();
    expect(await second).toBe(true);
    expect(notes).toEqual([`another maetok process is working there (${path}); waiting for it`]);
  });

  it('ends in one line when it is interrupted meanwhile', async () => {
    const path = join(folder, 'interrupted.lock');
    await tryLock(path);
    const signal = AbortSignal.timeout(50);
    await expect(withLock(path, { log: silentLog, signal }, () => Promise.resolve())).rejects.toMatchObject({
      message: 'interrupted while waiting; nothing was written',
      exitCode: 130,
    });
  });
});
