import { alone, type Communicator } from '../distributed/index.js';
import { readReport } from './report.js';
import type { TrainingSettings } from './settings.js';
import type { TrainingTask } from './task.js';
import { MAIN } from './network.js';
import { Trainer } from './trainer.js';

export interface Measurement {
  /** Parameters by network: `<name>` and, where some are frozen, `<name>_trained`. */
  parameters: Record<string, number>;
  memory: {
    /** Weights, gradients, the optimizer's moments and the moving average, in float32. */
    weights_and_state_bytes: number;
    /** Most memory that this process has held so far, a step on a whole batch included. */
    process_peak_bytes: number;
  };
  seconds_per_step: number;
}

/** Counts a task's parameters and tries one step. The task is disposed of. */
export async function measure(
  task: TrainingTask,
  settings: TrainingSettings,
  communicator: Communicator = alone,
): Promise<Measurement> {
  const counted = countParameters(task, settings);
  const trainer = new Trainer(task, settings, communicator);
  try {
    const start = performance.now();
    await readReport(await trainer.step(0, index => task.batch(index)));
    const seconds = (performance.now() - start) / 1000;
    const peak = process.resourceUsage().maxRSS * 1024;
    return {
      parameters: counted.parameters,
      memory: { weights_and_state_bytes: counted.bytes, process_peak_bytes: peak },
      seconds_per_step: seconds,
    };
  } finally {
    trainer.dispose();
    await task.dispose?.();
  }
}

function countParameters(
  task: TrainingTask,
  { ema }: TrainingSettings,
): { parameters: Record<string, number>; bytes: number } {
  const parameters: Record<string, number> = {};
  let bytes = 0;
  for (const [name, network] of [[MAIN, task] as const, ...Object.entries(task.phases ?? {})]) {
    const sizes = Object.entries(network.params).map(([key, { size }]) => ({
      size,
      trained: network.trains?.(key) === false ? 0 : size,
    }));
    const sum = (of: 'size' | 'trained'): number => sizes.reduce((total, each) => total + each[of], 0);
    parameters[name] = sum('size');
    if (sum('trained') !== sum('size')) parameters[`${name}_trained`] = sum('trained');
    // Gradient and two moments; the average is the task's alone.
    const copies = name === MAIN && ema > 0 ? 4 : 3;
    bytes += 4 * (sum('size') + copies * sum('trained'));
  }
  return { parameters, bytes };
}
