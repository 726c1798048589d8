import { MAE } from '../heads.js';
import { oneHead } from './one-head.js';
import type { ProbeProtocol } from './protocol.js';

/** Token mean → BatchNorm → linear. The schedule is MAE's: REPA published none. */
export const protocol: ProbeProtocol = { feature: 'mean', run: task => oneHead(task, MAE, 'REPA probe') };
