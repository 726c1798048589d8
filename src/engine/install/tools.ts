import { spawn } from 'node:child_process';

export interface ToolOutcome {
  /** Exit code; undefined where the program is not there or a signal ended it. */
  code: number | undefined;
  stdout: string;
  stderr: string;
}

/** The outside world of an installation, so that tests can stand in for it. */
export interface Tools {
  run(
    command: string,
    args: string[],
    options?: { signal?: AbortSignal | undefined; timeoutMs?: number },
  ): Promise<ToolOutcome>;
  fetch(url: string, options?: { signal?: AbortSignal | undefined }): Promise<Response>;
  /** Bytes free where `folder` lies. */
  freeBytes(folder: string): Promise<number>;
}

export const systemTools: Tools = {
  run: (command, args, { signal, timeoutMs } = {}) =>
    new Promise(resolve => {
      const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], signal, timeout: timeoutMs });
      const outcome: ToolOutcome = { code: undefined, stdout: '', stderr: '' };
      child.stdout.on('data', (text: Buffer) => (outcome.stdout += text.toString()));
      child.stderr.on('data', (text: Buffer) => (outcome.stderr += text.toString()));
      child.on('error', error => {
        outcome.stderr += error.message;
        resolve(outcome);
      });
      child.on('close', (code, killedBy) => {
        if (killedBy) outcome.stderr += `ended by ${killedBy}`;
        resolve({ ...outcome, code: code ?? undefined });
      });
    }),
  fetch: (url, { signal = null } = {}) => fetch(url, { signal }),
  freeBytes: async folder => {
    const { statfs } = await import('node:fs/promises');
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  },
};

/** The line of a program's output that says what went wrong: the last that names an error, else the last. */
export function complaint({ stdout, stderr, code }: ToolOutcome): string {
  const lines = `${stdout}\n${stderr}`
    .split('\n')
    .map(line => line.trim())
    .filter(Boolean);
  return lines.findLast(line => /error|fatal/i.test(line)) ?? lines.at(-1) ?? `exit code ${code ?? 'unknown'}`;
}
