import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';

/** To the compute threads' 0: on a core that they keep busy it gets a quarter, enough to keep a network going. */
const NICENESS = 5;

/*
 * MPI waits by asking again and again, which would take half of a core from whoever computes beside it: hence a thread of
 * less priority than the others. On Linux setpriority(PRIO_PROCESS, 0, …) is that of the thread; elsewhere of the process.
 */
const THREAD = `
const { parentPort, workerData } = require('node:worker_threads');
const koffi = require(workerData.koffi);
const library = koffi.load(workerData.library, { lazy: true, global: true });
const functions = new Map();
if (process.platform === 'linux') koffi.load(null).func('int setpriority(int, unsigned int, int)')(0, 0, ${NICENESS});
parentPort.on('message', ({ declaration, args }) => {
  try {
    if (!functions.has(declaration)) functions.set(declaration, library.func(declaration));
    parentPort.postMessage({ code: functions.get(declaration)(...args) });
  } catch (error) {
    parentPort.postMessage({ fault: String(error) });
  }
});`;

type Answer = { code: number } | { fault: string };

/** Calls the functions of a library that wait for other ranks, one at a time, while this thread goes on. */
export class WaitingThread {
  private readonly worker: Worker;
  /** The call under way; the arrays that it reads or writes must not be freed. */
  private pending: { settle: (answer: Answer) => void; memory: readonly ArrayBufferView[] } | undefined;

  constructor(library: string) {
    const koffi = createRequire(import.meta.url).resolve('koffi');
    this.worker = new Worker(THREAD, { eval: true, execArgv: [], workerData: { koffi, library } });
    this.worker.unref();
    this.worker.on('message', (answer: Answer) => this.pending?.settle(answer));
    this.worker.on('error', error => this.pending?.settle({ fault: error.message }));
  }

  /**
   * Calls a function by its C declaration; `args` has the addresses of the arrays in `memory`.
   * @throws Error where it gives anything but 0, MPI's success.
   */
  async call(declaration: string, args: readonly unknown[], memory: readonly ArrayBufferView[]): Promise<void> {
    this.worker.ref();
    const answer = await new Promise<Answer>(settle => {
      this.pending = { settle, memory };
      this.worker.postMessage({ declaration, args });
    });
    this.worker.unref();
    this.pending = undefined;
    const name = /MPI_\w+/.exec(declaration)![0];
    if ('fault' in answer) throw new Error(`${name}: ${answer.fault}`);
    if (answer.code !== 0) throw new Error(`${name} failed with ${answer.code}`);
  }
}
