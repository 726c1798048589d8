import { Readable } from 'node:stream';
import { runCli } from '../../src/cli/run.js';
import { alone, type Communicator } from '../../src/distributed/index.js';
import { asRanks } from './ranks.js';

export interface CliResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs one command line in this process, as `maetok …` would. */
export async function maetok(...args: string[]): Promise<CliResult> {
  return await maetokWith({}, ...args);
}

/** The same as so many ranks within this process. */
export async function maetokByRanks(size: number, ...args: string[]): Promise<CliResult[]> {
  return await asRanks(size, communicator => maetokWith({ communicator }, ...args));
}

export async function maetokWith(
  { stdin = '', signal, communicator = alone }: { stdin?: string; signal?: AbortSignal; communicator?: Communicator },
  ...args: string[]
): Promise<CliResult> {
  let stdout = '';
  let stderr = '';
  const code = await runCli(args, {
    stdout: { write: text => (stdout += text) },
    stderr: { write: text => (stderr += text) },
    stdin: Readable.from([stdin]),
    signal: signal ?? new AbortController().signal,
    communicator,
  });
  return { code, stdout, stderr };
}
