import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { availableCores, EXIT, UserError } from '../base/index.js';

/** The code of a thread: it knows the module and the shared memory, and calls the requested function. */
const THREAD = `
const { parentPort, workerData } = require('node:worker_threads');
const { module, memory, addon } = workerData;
const own = addon && require(addon.path).bind(new Uint8Array(memory.buffer), ...addon.values);
const { exports } = new WebAssembly.Instance(module, { env: { memory, log: Math.log, ...own } });
parentPort.on('message', ([name, parameters]) => parentPort.postMessage(exports[name](...parameters)));
`;

/** A native addon whose `bind(memory, ...values)` gives the functions that a module imports. */
export interface Addon {
  path: string;
  values: unknown[];
}

const require = createRequire(import.meta.url);

/** What an addon gives for a memory. */
const bound = ({ path, values }: Addon, { buffer }: WebAssembly.Memory): Record<string, unknown> =>
  (require(path) as { bind(...values: unknown[]): Record<string, unknown> }).bind(new Uint8Array(buffer), ...values);

type Exports = Record<string, (...parameters: number[]) => unknown>;

/** A compiled module on several threads that share one memory. */
export interface Threads {
  readonly count: number;
  readonly memory: WebAssembly.Memory;
  /** Calls an export once on every thread, with that thread's number before the parameters; waits for all. */
  run(name: string, ...parameters: number[]): Promise<void>;
  close(): Promise<void>;
}

/**
 * Compiles `bytes` and starts the threads. One thread means this one: nothing is started, and `run` is synchronous
 * work. @throws UserError if the memory is not available.
 */
export async function startThreads(
  bytes: Uint8Array<ArrayBuffer>,
  pages: number,
  count = availableCores(),
  addon?: Addon,
): Promise<Threads> {
  const memory = allocate(pages);
  const module = await WebAssembly.compile(bytes);
  if (count === 1) {
    const instance = new WebAssembly.Instance(module, {
      env: { memory, log: Math.log, ...(addon && bound(addon, memory)) },
    });
    return {
      count,
      memory,
      run: (name, ...parameters) => {
        (instance.exports as Exports)[name](0, ...parameters);
        return Promise.resolve();
      },
      close: () => Promise.resolve(),
    };
  }
  const workers = Array.from({ length: count }, () => {
    const worker = new Worker(THREAD, { eval: true, workerData: { module, memory, addon } });
    worker.setMaxListeners(0);
    worker.unref();
    return worker;
  });
  return {
    count,
    memory,
    run: async (name, ...parameters) => {
      await Promise.all(workers.map((worker, thread) => call(worker, name, [thread, ...parameters])));
    },
    close: async () => {
      await Promise.all(workers.map(worker => worker.terminate()));
    },
  };
}

function allocate(pages: number): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  } catch {
    throw new UserError(
      `no ${Math.ceil(pages / 16)} MB of memory available; give fewer components, dimensions or rows, or --memory`,
      EXIT.failed,
    );
  }
}

function call(worker: Worker, name: string, parameters: number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      worker.off('message', finished);
      worker.off('error', failed);
      worker.unref();
    };
    const finished = (): void => {
      done();
      resolve();
    };
    const failed = (error: Error): void => {
      done();
      reject(error);
    };
    // Only while something is awaited does a thread keep the process alive.
    worker.ref();
    worker.on('message', finished);
    worker.on('error', failed);
    worker.postMessage([name, parameters]);
  });
}
