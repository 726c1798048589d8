import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Measured, Place, WORKS } from './works.js';

export type WorkName = keyof typeof WORKS;

const AS_ROOT = { OMPI_ALLOW_RUN_AS_ROOT: '1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1' };

export const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** The words of one rank of a work. */
export const rankOf = (work: WorkName, place: Place): string[] => [
  ...[process.execPath, '--import', 'tsx', script('worker.ts'), work, JSON.stringify(place)],
];

/** Runs a command whose last line says what it measured. @throws Error where it fails. */
export function measured(command: string[]): Measured {
  const [program, ...args] = command;
  const { stdout, status } = spawnSync(program, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...AS_ROOT, TF_CPP_MIN_LOG_LEVEL: '3' },
  });
  const line = stdout.toString().trim().split('\n').at(-1);
  if (status !== 0 || !line?.startsWith('{')) throw new Error(`${command.join(' ')} ended with ${status}`);
  return JSON.parse(line) as Measured;
}
