import { Readable } from 'node:stream';
import { runCli } from '../../src/cli/run.js';

export interface CliResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs one command line in this process, as `maetok …` would. */
export async function maetok(...args: string[]): Promise<CliResult> {
  return await maetokWith({}, ...args);
}

export async function maetokWith(
  { stdin = '', signal }: { stdin?: string; signal?: AbortSignal },
  ...args: string[]
): Promise<CliResult> {
  let stdout = '';
  let stderr = '';
  const code = await runCli(args, {
    stdout: { write: text => (stdout += text) },
    stderr: { write: text => (stderr += text) },
    stdin: Readable.from([stdin]),
    signal: signal ?? new AbortController().signal,
  });
  return { code, stdout, stderr };
}
