import { parentPort } from 'node:worker_threads';
import { messageOf, UserError } from '../base/index.js';
import { squareOf } from './crop.js';
import { decodeStored } from './dataset.js';
import type { PrepareAnswer, PrepareJob } from './prepare.js';

/* One thread of the pool in prepare.ts: a job in, a square or the reason why not out. */

parentPort?.on('message', ({ id, job }: { id: number; job: PrepareJob }) => {
  void answer(id, job).then(reply =>
    parentPort?.postMessage(reply, reply.square ? [reply.square.buffer as ArrayBuffer] : []),
  );
});

async function answer(id: number, { stored, options, draws }: PrepareJob): Promise<PrepareAnswer> {
  try {
    return { id, square: squareOf(await decodeStored(stored), options, draws) };
  } catch (error) {
    return { id, failure: { message: messageOf(error), isUserError: error instanceof UserError } };
  }
}
