import type { Log } from '../../base/index.js';
import type { Communicator } from '../../distributed/index.js';
import type { Algorithm, CovarianceType, NullControl, SavedMixture, StartMethod } from '../../gmm/index.js';
import type { MemoryParts } from './memory.js';
import type { SpaceSettings } from './space.js';
import type { SweepState } from './state.js';

/** What a sweep fits and scores. */
export interface GmmSettings extends Omit<SpaceSettings, 'threads' | 'signal'> {
  components: number[];
  covariance: CovarianceType;
  algorithm: Algorithm;
  start: StartMethod;
  /** A mixture to start from. */
  initial?: SavedMixture | undefined;
  restarts: number;
  /** Fits from this many seeds, whose spread widens the intervals. */
  repeats: number;
  regCovar: number;
  tol: number;
  maxIter: number;
  controls: NullControl[];
  /** Start each component count from the former one's mixture, its heaviest components split. */
  grow: boolean;
  /** Bytes, of each rank. */
  memory: number;
  /** Default: all cores. */
  threads?: number | undefined;
  /** Also find the least diffusion loss at `FLOOR_TIMES`. */
  floor?: boolean | undefined;
  /** Also find the densities' modes and the order in which components merge. */
  modes?: boolean | undefined;
}

/** The same once the machine is known and the memory shared out. */
export interface SweepSettings extends Omit<GmmSettings, 'memory' | 'threads'> {
  memory: MemoryParts;
  threads: number;
  communicator: Communicator;
}

export interface GmmContext {
  log: Log;
  signal?: AbortSignal | undefined;
  state?: SweepState | undefined;
  /** Ranks that share the rows. */
  communicator?: Communicator | undefined;
}
