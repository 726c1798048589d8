import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../base/index.js';
import type { MpiAbi } from './abi.js';
import { callsOf } from './calls.js';
import { carryOut, type Operation, type Outcome } from './operations.js';

/* The thread that exchanges data with other ranks while the main one computes. */

export interface ThreadData {
  name: string;
  abi: MpiAbi;
  rank: number;
  size: number;
}

/** The next operation, or the end, for which other ranks are waited. */
export type ToThread = Operation | { kind: 'end' };

/** One to each message, in order. */
export type FromThread = { outcome: Outcome } | { fault: string };

const { name, abi, ...place } = workerData as ThreadData;
const calls = callsOf(name, abi);

function outcomeOf(message: ToThread): Outcome {
  if (message.kind !== 'end') return carryOut(calls, place, message);
  calls.finalize();
  return undefined;
}

parentPort!.on('message', (message: ToThread) => {
  let answer: FromThread;
  try {
    answer = { outcome: outcomeOf(message) };
  } catch (error) {
    answer = { fault: messageOf(error) };
  }
  parentPort!.postMessage(answer);
});
