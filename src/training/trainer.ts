import { alone, type Communicator } from '../distributed/index.js';
import { RandomStream, tf } from '../engine/index.js';
import type { Params } from '../nn/index.js';
import { StepExchange } from './exchange.js';
import { addGradients, type PhaseLoss, type StepSums } from './gradients.js';
import { judge, type StepVerdict } from './guard.js';
import { MAIN, TrainedNetwork, type NetworkState } from './network.js';
import { portionOf, refuseShared, type Portion } from './portion.js';
import { collectReport, type PendingReport } from './report.js';
import { learningRate } from './schedule.js';
import type { TrainingSettings } from './settings.js';
import type { Phase, TrainingTask } from './task.js';

/** Hands out the batch of an index; the holder disposes of it. */
export type BatchSource = (index: number) => Promise<unknown>;

/** The device's side of a training: networks and what one step does to them, on one or several ranks. */
export class Trainer {
  private readonly phases: Record<string, Phase<unknown, Params>>;
  private readonly networks: Record<string, TrainedNetwork>;
  private readonly random: RandomStream;
  private readonly portion: Portion;
  private readonly exchange: StepExchange | undefined;
  private readonly signal: AbortSignal | undefined;
  private stopping = false;

  /** `signal`: asks to stop, see `stops`. */
  constructor(
    private readonly task: TrainingTask,
    private readonly settings: TrainingSettings,
    private readonly communicator: Communicator = alone,
    { signal }: { signal?: AbortSignal } = {},
  ) {
    this.signal = signal;
    this.phases = task.phases ?? {};
    this.random = new RandomStream(settings.seed).for('train');
    this.portion = portionOf(communicator, settings);
    refuseShared(task, this.portion);
    this.exchange = communicator.size > 1 ? this.newExchange() : undefined;
    this.networks = {
      [MAIN]: new TrainedNetwork(task, settings),
      // Averages serve the model that is used afterwards; a discriminator is not.
      ...mapValues(this.phases, phase => new TrainedNetwork(phase, { ...settings, ema: 0 })),
    };
  }

  private newExchange(): StepExchange {
    const { accumulate } = this.settings;
    const { parts, sharers } = this.portion;
    const networks = { [MAIN]: this.task, ...this.phases };
    return new StepExchange(
      this.communicator,
      mapValues(networks, network => ({
        trained: Object.fromEntries(
          Object.entries(network.params).filter(([name]) => network.trains?.(name) !== false),
        ),
        bufferRule: network.bufferRule,
      })),
      { parts: parts.end - parts.start, all: accumulate, later: accumulate - parts.end, sharers },
    );
  }

  /**
   * Update number `step` (from 0): gradients of `accumulate` batches, clipped, applied where they are finite. Every rank
   * takes its portion of the batches and makes the same update.
   */
  async step(step: number, batches: BatchSource): Promise<PendingReport> {
    const sums = await this.gradients(step, batches);
    const own = judge(sums, this.settings.clip);
    const verdict = this.exchange ? await this.exchange.agreed(own) : own;
    this.apply(step, sums, verdict);
    const report = collectReport(step + 1, sums, verdict);
    tf.dispose([sums.networks, verdict] as never);
    return report;
  }

  /** Whether the run is to end with the last step: every rank hears the same. */
  get stops(): boolean {
    return this.exchange ? this.stopping : this.signal?.aborted === true;
  }

  private async gradients(step: number, batches: BatchSource): Promise<StepSums> {
    const { exchange } = this;
    const values = mapValues(this.networks, network => network.read());
    try {
      const own = await this.ownGradients(step, batches, values);
      if (!exchange) return own;
      const { sums, stops } = await exchange.sums(own, values, () => this.signal?.aborted === true);
      this.stopping = stops;
      return sums;
    } finally {
      Object.values(values).forEach(params => tf.dispose(params));
    }
  }

  private async ownGradients(step: number, batches: BatchSource, values: Record<string, Params>): Promise<StepSums> {
    const { accumulate, batchSize } = this.settings;
    const { parts, rows, sharers } = this.portion;
    const sums: StepSums = { networks: {}, parts: 0 };
    const ahead = this.buffersAfter(parts.start, values);
    const begun = mapValues(values, (params, name) => ({ ...params, ...ahead[name] }));
    for (let part = parts.start; part < parts.end; part++) {
      const batch = await batches(step * accumulate + part);
      const whole = this.random.at(step, part);
      const random = sharers === 1 ? whole : whole.forRows({ first: rows.start, count: batchSize / sharers });
      const last = part === parts.end - 1;
      const one = { step, random, batch, values: begun };
      await addGradients(sums, this.objectives(step), one, last ? this.exchange : undefined);
      disposeBatch(batch);
    }
    tf.dispose(ahead);
    return sums;
  }

  /** Buffers after `parts` batches that other ranks see, as far as that can be told without the batches. */
  private buffersAfter(parts: number, values: Record<string, Params>): Record<string, Params> {
    if (parts === 0) return {};
    return mapValues({ [MAIN]: this.task, ...this.phases }, ({ bufferRule }, name) =>
      tf.tidy(() => bufferRule?.ahead?.(values[name], parts) ?? {}),
    );
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

  /** Gives every rank the networks that rank 0 has. */
  async agree(): Promise<void> {
    if (this.communicator.size === 1) return;
    const states = this.state();
    for (const state of Object.values(states))
      for (const params of [state.weights, state.ema ?? {}, state.optimizer])
        for (const [name, tensor] of Object.entries(params)) {
          const numbers = tensor.dataSync<'float32'>().slice();
          await this.communicator.broadcast(numbers);
          tensor.dispose();
          params[name] = tf.tensor(numbers, tensor.shape);
        }
    this.restore(states);
    tf.dispose(Object.values(states) as never);
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

const mapValues = <A, B>(record: Record<string, A>, f: (value: A, key: string) => B): Record<string, B> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, f(value, key)]));
