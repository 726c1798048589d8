import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';

/** A program that is measured beside ours and works when asked, so that the two take turns. */
export interface Peer<Ready, Answer> {
  /** What it said when it was ready. */
  ready: Ready;
  /** Sends one line; its answer is one line of JSON. */
  ask(line: string): Promise<Answer>;
  end(): void;
}

/** OpenMP's threads keep spinning after their last work, 200 ms by default, and would take a core from whoever is next. */
const REST_MS = 400;

/** Starts a peer and waits until it is ready. */
export async function openPeer<Ready, Answer>(
  command: string,
  args: string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Peer<Ready, Answer>> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...env } });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<unknown> => {
    const { value, done } = (await lines.next()) as { value?: string; done?: boolean };
    if (done || value === undefined) throw new Error(`${command} ${args[0]} ended early`);
    return JSON.parse(value);
  };
  return {
    ready: (await answer()) as Ready,
    ask: async line => {
      child.stdin.write(`${line}\n`);
      const found = (await answer()) as Answer;
      await setTimeout(REST_MS);
      return found;
    },
    end: () => void child.kill(),
  };
}

const FIND = 'import sys, importlib.util as u; print(*[m for m in sys.argv[1:] if u.find_spec(m) is None])';

/** Whether Python has all of these modules; what is missing is said, once per process: ours is measured without a peer then. */
export function pythonHas(python: string, modules: string[]): boolean {
  const { status, stdout } = spawnSync(python, ['-c', FIND, ...modules], { encoding: 'utf8' });
  const missing = status === 0 ? stdout.trim() : 'Python';
  if (missing !== '') sayOnce(`the peer is absent: no ${missing.replaceAll(' ', ', ')} (${python})`);
  return missing === '';
}

/** Starts a Python program as a peer where Python has these modules. */
export async function openPython<Ready, Answer>(
  python: string,
  args: string[],
  modules: string[],
  env?: NodeJS.ProcessEnv,
): Promise<Peer<Ready, Answer> | undefined> {
  return pythonHas(python, modules) ? await openPeer(python, args, env) : undefined;
}

const said = new Set<string>();
export function sayOnce(message: string): void {
  if (!said.has(message)) process.stderr.write(`bench: ${message}\n`);
  said.add(message);
}
