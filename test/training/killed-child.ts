/* Run by kill.test.ts as a process of its own: trains the tiny task into the folder given, resuming where it can. */
import { startEngine } from '../../src/engine/index.js';
import { isRun } from '../../src/io/index.js';
import { KILLED, trainTiny } from './tiny.js';

const out = process.argv[2];
await startEngine();
await trainTiny(out, KILLED, { resume: isRun(out) });
