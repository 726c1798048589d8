import { spawn } from 'node:child_process';
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

/** Starts a peer and waits until it is ready; `needs` says what it may lack where it ends before that. */
export async function openPeer<Ready, Answer>(
  command: string,
  args: string[],
  { needs, env }: { needs?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Peer<Ready, Answer>> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...env } });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<unknown> => {
    const { value, done } = (await lines.next()) as { value?: string; done?: boolean };
    if (done || value === undefined)
      throw new Error(`${command} ${args[0]} ended early${needs === undefined ? '' : `; it needs ${needs}`}`);
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
