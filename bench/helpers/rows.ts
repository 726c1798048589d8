import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Starts the bench at `url` once for each row, with that row's options before `options`, and prints one table of them. */
export function eachRow(url: string, rows: string[][], options: string[]): void {
  let headed = false;
  for (const row of rows) {
    const argv = ['--import', 'tsx', fileURLToPath(url), ...row, ...options];
    const { stdout, status } = spawnSync(process.execPath, argv, {
      stdio: ['ignore', 'pipe', 'inherit'],
      encoding: 'utf8',
    });
    if (status !== 0) process.exit(status ?? 1);
    process.stdout.write(headed ? stdout.replace(/^.*\n/, '') : stdout);
    headed ||= stdout !== '';
  }
}
