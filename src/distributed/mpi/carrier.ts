import { Worker } from 'node:worker_threads';
import { inPackage } from '../../base/index.js';
import type { MpiLibrary } from './library.js';
import type { Operation, Outcome } from './operations.js';
import type { FromThread, ThreadData, ToThread } from './thread.js';

/** TypeScript that is run without a build takes the built one: a thread of Node’s knows nothing of the loader of its process. */
const THREAD = inPackage('dist/distributed/mpi/thread.js');

type Unplaced<O> = O extends { at: bigint } ? Omit<O, 'at'> : never;

/** Carries out operations over ranks in a thread of its own, in the order in which they are asked for. */
export class Carrier {
  private readonly worker: Worker;
  /** What has been asked for, with the memory that the thread reads and writes, which must not be freed. */
  private readonly asked: { settle: (answer: FromThread) => void; memory: ArrayBufferView | undefined }[] = [];

  constructor(private readonly mpi: MpiLibrary) {
    const { name, abi } = mpi;
    const workerData: ThreadData = { name, abi, rank: mpi.rank(), size: mpi.size() };
    this.worker = new Worker(THREAD, { workerData });
    this.worker.unref();
    this.worker.on('message', (answer: FromThread) => this.asked.shift()?.settle(answer));
    this.worker.on('error', ({ message }) => this.asked.splice(0).forEach(({ settle }) => settle({ fault: message })));
  }

  /** @throws Error where MPI fails. */
  async run(operation: Unplaced<Operation>, memory: ArrayBufferView): Promise<Outcome> {
    return await this.ask({ ...operation, at: this.mpi.addressOf(memory) }, memory);
  }

  async barrier(): Promise<void> {
    await this.ask({ kind: 'barrier' });
  }

  /** Ends MPI, after what has been asked for; waits for the other ranks. */
  async end(): Promise<void> {
    await this.ask({ kind: 'end' });
  }

  private async ask(message: ToThread, memory?: ArrayBufferView): Promise<Outcome> {
    this.worker.ref();
    const answer = await new Promise<FromThread>(settle => {
      this.asked.push({ settle, memory });
      this.worker.postMessage(message);
    });
    if (this.asked.length === 0) this.worker.unref();
    if ('fault' in answer) throw new Error(answer.fault);
    return answer.outcome;
  }
}
