import { Worker } from 'node:worker_threads';
import { availableCores, besideSources, BUILT, UserError } from '../base/index.js';
import { squareOf, type CropOptions } from './crop.js';
import { decodeStored, type StoredImage } from './dataset.js';

/** One image to be decoded and cropped. */
export interface PrepareJob {
  stored: StoredImage;
  options: CropOptions;
  /** DRAWS uniform numbers. */
  draws: Float32Array;
}

/** Reply of a worker. */
export interface PrepareAnswer {
  id: number;
  square?: Uint8Array;
  /** Why the image cannot be read. */
  failure?: { message: string; isUserError: boolean };
}

/**
 * Decodes and crops one image: in a worker thread, so that resampling continues while the numeric engine computes, and
 * here where that is impossible (TypeScript run without a build) or unnecessary (pixels already of the right size).
 */
export async function prepare(job: PrepareJob): Promise<Uint8Array> {
  if (isReady(job) || !WORKER) return squareOf(await decodeStored(job.stored), job.options, job.draws);
  pool ??= new PreparePool(WORKER, Math.max(1, Math.min(MOST_WORKERS, availableCores() - 1)));
  return await pool.run(job);
}

const MOST_WORKERS = 8;
const WORKER = BUILT ? besideSources('data/worker.js') : undefined;
let pool: PreparePool | undefined;

function isReady({ stored, options: { size, crop } }: PrepareJob): boolean {
  return 'data' in stored && crop === 'center' && stored.width === size && stored.height === size;
}

interface Waiting {
  resolve(square: Uint8Array): void;
  reject(error: unknown): void;
}

interface Hand {
  worker: Worker;
  waiting: Map<number, Waiting>;
}

/**
 * Worker threads that start when they are first needed and keep the process alive only while they work.
 * @public for the test that starts them in a process of its own
 */
export class PreparePool {
  private readonly hands: Hand[] = [];
  private nextId = 0;

  constructor(
    private readonly script: string | URL,
    private readonly size: number,
  ) {}

  async run(job: PrepareJob): Promise<Uint8Array> {
    const hand = this.leastBusy();
    const id = this.nextId++;
    return await new Promise((resolve, reject) => {
      if (hand.waiting.size === 0) hand.worker.ref();
      hand.waiting.set(id, { resolve, reject });
      hand.worker.postMessage({ id, job });
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.hands.splice(0).map(hand => hand.worker.terminate()));
  }

  private leastBusy(): Hand {
    const idle = this.hands.find(hand => hand.waiting.size === 0);
    if (idle) return idle;
    if (this.hands.length < this.size) return this.start();
    return this.hands.reduce((best, hand) => (hand.waiting.size < best.waiting.size ? hand : best));
  }

  private start(): Hand {
    const hand: Hand = { worker: new Worker(this.script, { execArgv: [] }), waiting: new Map() };
    this.hands.push(hand);
    hand.worker.unref();
    hand.worker.on('message', (answer: PrepareAnswer) => settle(hand, answer));
    // The jobs of a thread that dies fail; the next job starts another thread.
    hand.worker.on('error', error => {
      this.hands.splice(this.hands.indexOf(hand), 1);
      for (const job of hand.waiting.values()) job.reject(error);
    });
    return hand;
  }
}

function settle({ worker, waiting }: Hand, { id, square, failure }: PrepareAnswer): void {
  const job = waiting.get(id);
  waiting.delete(id);
  if (waiting.size === 0) worker.unref();
  if (square) job?.resolve(square);
  else if (failure?.isUserError) job?.reject(new UserError(failure.message));
  else job?.reject(new Error(failure?.message));
}
