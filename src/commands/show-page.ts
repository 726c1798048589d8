import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import type { Log } from '../base/index.js';

const OPENERS: Partial<Record<NodeJS.Platform, [string, ...string[]]>> = {
  darwin: ['open'],
  win32: ['cmd', '/c', 'start', ''],
};

/** Opens a page in the system's browser; a word where there is none. */
export async function showPage(path: string, log: Log): Promise<void> {
  const [program, ...words] = OPENERS[process.platform] ?? ['xdg-open'];
  const failure = await new Promise<string | undefined>(done => {
    const child = spawn(program, [...words, resolve(path)], { stdio: 'ignore', detached: true });
    child.on('error', () => done(`there is no ${program} here`));
    child.on('exit', code => done(code === 0 ? undefined : `${program} found no browser`));
    // A browser that stays in the foreground is open.
    setTimeout(() => done(undefined), 2000).unref();
    child.unref();
  });
  if (failure !== undefined) log.warn(`--open: ${failure}; open ${path} yourself`);
}
