import { changes, type Change } from '../base/index.js';
import type { Schedule } from './schedule.js';

/** How to train. Every value ends up in the run's config.yaml. */
export interface TrainingSettings extends Schedule {
  seed: number;
  /** Samples of one gradient; the task's `batch` gives that many. */
  batchSize: number;
  betas: [number, number];
  eps: number;
  /** Decoupled weight decay of the parameters that decay. */
  weightDecay: number;
  /** Largest global norm of the gradient; 0 leaves it as it is. */
  clip: number;
  /** Decay of the exponential moving average of the parameters; 0 keeps none. */
  ema: number;
  /** Batches per update, their gradients averaged. */
  accumulate: number;
  checkpointEvery: number;
  /** Checkpoints kept, the newest ones. */
  keep: number;
  logEvery: number;
  /** Steps between evaluations; there is always one after the last step. */
  evaluateEvery: number;
}

export const DEFAULT_SETTINGS: TrainingSettings = {
  seed: 0,
  batchSize: 64,
  steps: 1000,
  lr: 1e-4,
  schedule: 'constant',
  warmup: 0,
  warmupLr: 1e-5,
  finalLr: 0.1,
  betas: [0.9, 0.95],
  eps: 1e-8,
  weightDecay: 1e-4,
  clip: 1,
  ema: 0.9999,
  accumulate: 1,
  checkpointEvery: 1000,
  keep: 2,
  logEvery: 50,
  evaluateEvery: 1000,
};

/** Settings that a resumed run may change: they do not touch the numbers. */
const FREE = new Set(['steps', 'checkpointEvery', 'keep', 'logEvery', 'evaluateEvery']);

/** The changed settings because of which one run cannot be resumed as the other. */
export const settingsThatDiffer = (before: Partial<TrainingSettings>, now: TrainingSettings): Change[] =>
  changes(before, now).filter(({ name }) => !FREE.has(name) || (name === 'steps' && now.schedule === 'cosine'));
