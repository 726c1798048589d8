import type { ScheduleName } from './names.js';

/** Schedule of the learning rate. */
export interface Schedule {
  lr: number;
  schedule: ScheduleName;
  /** Steps of linear warm-up. */
  warmup: number;
  /** Learning rate of the first warm-up step. */
  warmupLr: number;
  /** The cosine ends at this share of `lr`. */
  finalLr: number;
  steps: number;
}

/**
 * Learning rate in force for `step` (from 0). The warm-up replaces the start of the cosine, which is counted from step
 * 0 over all steps, as MAETok's authors do it.
 */
export function learningRate({ lr, schedule, warmup, warmupLr, finalLr, steps }: Schedule, step: number): number {
  if (step < warmup) return warmupLr + ((lr - warmupLr) * step) / warmup;
  if (schedule === 'constant') return lr;
  const floor = lr * finalLr;
  return floor + (lr - floor) * 0.5 * (1 + Math.cos((Math.PI * Math.min(step, steps)) / steps));
}
