import { RandomStream, tf } from '../engine/index.js';
import type { Params } from '../nn/index.js';
import { addGradients, type PhaseLoss, type StepSums } from './gradients.js';
import { judge, type StepVerdict } from './guard.js';
import { MAIN, TrainedNetwork, type NetworkState } from './network.js';
import { collectReport, type PendingReport } from './report.js';
import { learningRate } from './schedule.js';
import type { TrainingSettings } from './settings.js';
import type { Phase, TrainingTask } from './task.js';

/** Hands out the batch of an index; the holder disposes of it. */
export type BatchSource = (index: number) => Promise<unknown>;

/** The device's side of a training: networks and what one step does to them. */
export class Trainer {
  private readonly phases: Record<string, Phase<unknown, Params>>;
  private readonly networks: Record<string, TrainedNetwork>;
  private readonly random: RandomStream;

  constructor(
    private readonly task: TrainingTask,
    private readonly settings: TrainingSettings,
  ) {
    this.phases = task.phases ?? {};
    this.random = new RandomStream(settings.seed).for('train');
    this.networks = {
      [MAIN]: new TrainedNetwork(task, settings),
      // Averages serve the model that is used afterwards; a discriminator is not.
      ...mapValues(this.phases, phase => new TrainedNetwork(phase, { ...settings, ema: 0 })),
    };
  }

  /** Update number `step` (from 0): gradients of `accumulate` batches, clipped, applied where they are finite. */
  async step(step: number, batches: BatchSource): Promise<PendingReport> {
    const sums = await this.gradients(step, batches);
    const verdict = judge(sums, this.settings.clip);
    this.apply(step, sums, verdict);
    const report = collectReport(step + 1, sums, verdict);
    tf.dispose([sums.networks, verdict] as never);
    return report;
  }

  private async gradients(step: number, batches: BatchSource): Promise<StepSums> {
    const { accumulate } = this.settings;
    const sums: StepSums = { networks: {}, parts: 0 };
    const values = mapValues(this.networks, network => network.read());
    try {
      for (let part = 0; part < accumulate; part++) {
        const batch = await batches(step * accumulate + part);
        const random = this.random.at(step, part);
        addGradients(sums, this.objectives(step), { step, random, batch, values });
        disposeBatch(batch);
      }
    } finally {
      Object.values(values).forEach(params => tf.dispose(params));
    }
    return sums;
  }

  private objectives(step: number): PhaseLoss[] {
    const phases = Object.entries(this.phases).filter(([, { start = 0 }]) => step >= start);
    return [[MAIN, this.task] as const, ...phases].map(([network, task]) => ({
      network,
      trained: this.networks[network].trained,
      loss: (params, batch, context) => task.loss(params, batch, context),
    }));
  }

  private apply(step: number, sums: StepSums, { gate, factors }: StepVerdict): void {
    for (const [name, { gradients, buffers }] of Object.entries(sums.networks)) {
      const network = this.networks[name];
      const { lr = this.settings.lr } = name === MAIN ? this.settings : this.phases[name];
      network.step(gradients, { lr: learningRate({ ...this.settings, lr }, step), factor: factors[name], gate });
      tf.dispose(gradients);
      network.setBuffers(buffers, gate);
    }
  }

  /** The task's parameters and their average, for the caller to dispose of. */
  read(): { params: Params; ema: Params | undefined } {
    return { params: this.networks[MAIN].read(), ema: this.networks[MAIN].readAverage() };
  }

  state(): Record<string, NetworkState> {
    return mapValues(this.networks, network => network.state());
  }

  restore(states: Record<string, NetworkState>): void {
    for (const [name, network] of Object.entries(this.networks)) network.restore(states[name]);
  }

  dispose(): void {
    for (const network of Object.values(this.networks)) network.dispose();
  }
}

/** Tensors in records; arrays are left to the garbage collector. */
export function disposeBatch(batch: unknown): void {
  if (batch instanceof tf.Tensor) batch.dispose();
  else if (batch !== null && typeof batch === 'object' && !Array.isArray(batch) && !ArrayBuffer.isView(batch))
    Object.values(batch).forEach(disposeBatch);
}

const mapValues = <A, B>(record: Record<string, A>, f: (value: A) => B): Record<string, B> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, f(value)]));
