import { tf, type Tensor } from '../engine/index.js';
import {
  adamw,
  movingAverage,
  type MovingAverage,
  type Optimizer,
  type Params,
  type StepOptions,
} from '../nn/index.js';
import type { TrainingSettings } from './settings.js';
import type { TrainingTask } from './task.js';

/** Name of the task's own parameters among those of its phases. */
export const MAIN = 'main';

/** The state of a network in a checkpoint. */
export interface NetworkState {
  /** Every parameter, those that do not train included. */
  weights: Params;
  /** All parameters, with moving averages for those that train. */
  ema?: Params | undefined;
  optimizer: Params;
}

/** One set of parameters in training: those that gradients move, and those that stay or that the task sets. */
export class TrainedNetwork {
  private readonly optimizer: Optimizer;
  private readonly average: MovingAverage | undefined;
  /** Frozen parameters and buffers. */
  private readonly fixed: Params = {};
  private readonly names: string[];
  /** Parameters that have a gradient, in order. */
  readonly trained: string[];

  /** Takes over `params`: keeps copies of what trains, disposes of the rest at its end. */
  constructor(
    { params, trains = () => true, decays }: Pick<TrainingTask, 'params' | 'trains' | 'decays'>,
    { betas, eps, weightDecay, ema }: Pick<TrainingSettings, 'betas' | 'eps' | 'weightDecay' | 'ema'>,
  ) {
    this.names = Object.keys(params);
    this.trained = this.names.filter(trains);
    const moving = pick(params, this.trained);
    this.optimizer = adamw(moving, { betas, eps, weightDecay, ...(decays ? { decays } : {}) });
    this.average = ema > 0 ? movingAverage(moving, ema) : undefined;
    for (const name of this.names) {
      if (name in moving) params[name].dispose();
      else this.fixed[name] = tf.keep(params[name]);
    }
  }

  /** All parameters now; the caller disposes of them before the next step. */
  read(): Params {
    return this.complete(this.optimizer.read());
  }

  /** All parameters, moving averages in place of those that train; undefined where no average is kept. */
  readAverage(): Params | undefined {
    return this.average && this.complete(this.average.read());
  }

  private complete(moving: Params): Params {
    return Object.fromEntries(this.names.map(name => [name, moving[name] ?? this.fixed[name].clone()]));
  }

  step(gradients: Params, options: StepOptions & { gate: Tensor }): void {
    this.optimizer.step(gradients, options);
    if (!this.average) return;
    const now = this.optimizer.read();
    this.average.update(now, options.gate);
    tf.dispose(now);
  }

  /** New values of parameters that no gradient moves; kept where `gate` is 1. */
  setBuffers(values: Params, gate: Tensor): void {
    for (const name in values) {
      const before = this.fixed[name];
      this.fixed[name] = tf.keep(tf.tidy(() => tf.where(gate.equal(1), values[name], before)));
      before.dispose();
    }
  }

  state(): NetworkState {
    return { weights: this.read(), ema: this.readAverage(), optimizer: this.optimizer.state() };
  }

  /** Resumes from a state, of which it keeps copies. */
  restore({ weights, ema, optimizer }: NetworkState): void {
    this.optimizer.restore(weights, optimizer);
    if (ema) this.average?.restore(ema);
    for (const name in this.fixed) {
      this.fixed[name].dispose();
      this.fixed[name] = tf.keep(weights[name].clone());
    }
  }

  dispose(): void {
    this.optimizer.dispose();
    this.average?.dispose();
    tf.dispose(this.fixed);
  }
}

const pick = (params: Params, names: string[]): Params => Object.fromEntries(names.map(name => [name, params[name]]));
