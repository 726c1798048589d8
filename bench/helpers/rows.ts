import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const argvOf = (url: string, options: string[]): string[] => ['--import', 'tsx', fileURLToPath(url), ...options];

/** Has the bench at `url` do something in a process of its own, so that it leaves nothing in the memory of this one, which is measured. */
export function elsewhere(url: string, options: string[]): void {
  const { status } = spawnSync(process.execPath, argvOf(url, options), { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

/** Starts the bench at `url` once for each row, with that row's options before `options`, and prints one table of them. */
export function eachRow(url: string, rows: string[][], options: string[]): void {
  let headed = false;
  for (const row of rows) {
    const { stdout, status } = spawnSync(process.execPath, argvOf(url, [...row, ...options]), {
      stdio: ['ignore', 'pipe', 'inherit'],
      encoding: 'utf8',
    });
    if (status !== 0) process.exit(status ?? 1);
    process.stdout.write(headed ? stdout.replace(/^.*\n/, '') : stdout);
    headed ||= stdout !== '';
  }
}
