import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../base/index.js';
import { watchRanks } from './watch.js';
import type { FromThread, ThreadData, ToThread } from './watcher.js';

/* The thread that keeps watch over the other ranks while the main one computes. */

/** In which the main thread ends the process, if it does not compute. */
const GRACE_MS = 2000;

const { launch, point, patience } = workerData as ThreadData;
const tell = (message: FromThread): void => parentPort!.postMessage(message);

function lost(code: number, message?: string): void {
  tell({ lost: { code, message } });
  setTimeout(() => void endProcess(code, message), GRACE_MS);
}

/** Ends the process from beside its main thread, which `process.exit` cannot. */
async function endProcess(code: number, message: string | undefined): Promise<void> {
  if (message !== undefined) writeSync(2, `maetok: ${message}\n`);
  try {
    const { default: koffi } = await import('koffi');
    koffi.load(null).func('void _exit(int code)')(code);
  } catch {
    process.kill(process.pid, 'SIGKILL');
  }
}

try {
  const watch = await watchRanks(launch, point, { lost, patience });
  tell({ met: true });
  parentPort!.on('message', ({ end, close, suspect }: ToThread) => {
    if (end !== undefined) void watch.end(end).then(() => tell({ done: true }));
    if (close) void watch.close().then(() => tell({ done: true }));
    if (suspect) watch.suspect(suspect.rank, suspect.why);
  });
} catch (error) {
  tell({ failed: messageOf(error) });
}
