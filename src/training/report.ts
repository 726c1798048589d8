import { tf, type Tensor } from '../engine/index.js';
import type { StepSums } from './gradients.js';
import type { StepVerdict } from './guard.js';
import { MAIN } from './network.js';

/** The numbers of one step, still on the device: they are read when the next step is under way. */
export interface PendingReport {
  /** Updates done with this step. */
  step: number;
  names: string[];
  values: Tensor;
}

export interface ReportedStep {
  step: number;
  /** Whether the step changed the weights: its losses and norms were finite. */
  counted: boolean;
  /** Losses, metrics and gradient norms by column name. */
  values: Record<string, number>;
}

/**
 * Puts a step's scalars into one tensor, so that reading them is one transfer. Their columns: `loss`, `<metric>` and
 * `grad_norm`, for phases behind `<phase>_`.
 */
export function collectReport(
  step: number,
  { networks, parts }: StepSums,
  { gate, norms }: StepVerdict,
): PendingReport {
  const column = (network: string, name: string): string => (network === MAIN ? name : `${network}_${name}`);
  const entries = Object.entries(networks).flatMap(([network, { scalars }]) =>
    Object.entries(scalars).map(([name, sum]) => [column(network, name), sum] as const),
  );
  const normNames = Object.keys(norms).map(network => column(network, 'grad_norm'));
  const values = tf.tidy(() =>
    tf.stack([gate, ...entries.map(([, sum]) => sum.div<Tensor>(parts)), ...Object.values(norms)]),
  );
  return { step, names: [...entries.map(([name]) => name), ...normNames], values };
}

export async function readReport({ step, names, values }: PendingReport): Promise<ReportedStep> {
  const [gate, ...numbers] = await values.data();
  values.dispose();
  return { step, counted: gate === 1, values: Object.fromEntries(names.map((name, i) => [name, numbers[i]])) };
}

/** Sums and counts by name, as a checkpoint holds them. */
export type WindowState = Record<string, { sum: number; count: number }>;

/** Means over the steps since the last logged row. */
export class MeanWindow {
  constructor(private state: WindowState = {}) {}

  add(values: Record<string, number>): void {
    for (const [name, value] of Object.entries(values)) {
      const { sum, count } = this.state[name] ?? { sum: 0, count: 0 };
      this.state[name] = { sum: sum + value, count: count + 1 };
    }
  }

  /** The means, and a fresh start. */
  take(): Record<string, number> {
    const means = Object.fromEntries(Object.entries(this.state).map(([name, { sum, count }]) => [name, sum / count]));
    this.state = {};
    return means;
  }

  get saved(): WindowState {
    return structuredClone(this.state);
  }
}
