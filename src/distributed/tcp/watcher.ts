import { Worker } from 'node:worker_threads';
import { besideSources, BUILT, EXIT, UserError } from '../../base/index.js';
import type { Launch } from '../launcher.js';
import type { MeetingPoint } from './meeting-point.js';
import { watchRanks, type Watch, type WatchOptions } from './watch.js';

export interface ThreadData {
  launch: Pick<Launch, 'rank' | 'size'>;
  point: MeetingPoint;
  patience: number | undefined;
}

/** What the thread is asked to do: one of these. */
export interface ToThread {
  end?: number;
  close?: boolean;
  suspect?: { rank: number; why: string };
}

/** What it says. */
export type FromThread =
  { met: true } | { failed: string } | { done: true } | { lost: { code: number; message: string | undefined } };

const THREAD = BUILT ? besideSources('distributed/tcp/watch-thread.js') : undefined;

/**
 * Watches over the other ranks in a thread of its own: the main one may compute for minutes, in which it neither gives nor
 * heeds a sign of life.
 */
export async function startWatch(
  launch: ThreadData['launch'],
  point: MeetingPoint,
  options: WatchOptions,
): Promise<Watch> {
  if (!THREAD) return await watchRanks(launch, point, options);
  const { lost, patience } = options;
  const worker = new Worker(THREAD, { execArgv: [], workerData: { launch, point, patience } satisfies ThreadData });
  const ask = (message: ToThread): void => worker.postMessage(message);
  let done = (): void => undefined;
  const asked = async (message: ToThread): Promise<void> => {
    const answered = new Promise<void>(resolve => (done = resolve));
    ask(message);
    await answered;
  };
  await new Promise<void>((resolve, reject) => {
    worker.on('error', reject);
    worker.on('message', (said: FromThread) => {
      if ('met' in said) resolve();
      else if ('failed' in said) reject(new UserError(said.failed, EXIT.failed));
      else if ('done' in said) done();
      else lost(said.lost.code, said.lost.message);
    });
  });
  return {
    end: code => asked({ end: code }),
    close: async () => {
      await asked({ close: true });
      worker.unref();
    },
    suspect: (rank, why) => ask({ suspect: { rank, why } }),
  };
}
