import { MAE } from '../heads.js';
import { oneHead } from './one-head.js';
import type { ProbeProtocol } from './protocol.js';

export const protocol: ProbeProtocol = { run: task => oneHead(task, MAE, 'MAE probe') };
