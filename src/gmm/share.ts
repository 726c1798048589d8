import { shareOf, type Communicator, type Share } from '../distributed/index.js';
import { segmentRows } from './kernels/index.js';

/** The rows that a rank holds and works on, of so many of all ranks: whole segments, so that nothing depends on the number of ranks. */
export const rowShare = (communicator: Pick<Communicator, 'rank' | 'size'>, rows: number): Share =>
  shareOf(communicator, rows, segmentRows(rows));
