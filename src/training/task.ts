import type { RandomStream, Tensor } from '../engine/index.js';
import type { LossResult, Params } from '../nn/index.js';
import type { BufferRule } from './buffers.js';

/** What a loss function may read besides its parameters and its batch. `P`: the names of the task's phases. */
export interface LossContext<P extends string = string> {
  /** Updates done so far; the first step is 0. */
  step: number;
  /**
   * Random numbers of this step (and of this part of it, under gradient accumulation). Where ranks share a batch they are
   * those of this rank's rows: equally many are drawn for each row, and what is drawn once for all rows by `forBatch`.
   */
  random: RandomStream;
  /** Parameters of the phases as they were before this step (`main` are the task's own). */
  phases: Record<P | 'main', Params>;
}

export interface PhaseResult extends LossResult {
  /** New values of parameters that no gradient moves: running statistics, power-iteration vectors. */
  buffers?: Params;
}

/**
 * A further set of parameters trained in the same run with a loss and an optimizer of its own, such as a
 * discriminator. Within a step every phase sees the parameters from before it; then all are updated.
 */
export interface Phase<B, S, P extends string = string> {
  params: Params;
  /** `shared`: what the task's loss shared of this batch. */
  loss(params: Params, batch: B, context: LossContext<P> & { shared: S }): PhaseResult;
  /** Whether a parameter is trained; default all. */
  trains?(name: string): boolean;
  /** How several ranks move the buffers; needed where there are some. */
  bufferRule?: BufferRule;
  /** First step at which this phase runs; default 0. */
  start?: number;
  /** Replaces the run's value for this phase. */
  lr?: number;
}

/** What `evaluate` is given now and then, and after the last step. */
export interface TrainingSnapshot {
  /** Updates done. */
  step: number;
  params: Params;
  /** The exponential moving average, where one is kept. */
  ema: Params | undefined;
  /** The run folder, for files such as images. */
  out: string;
}

/** A table beside metrics.csv, e.g. `loss`, whose rows each carry their step. */
export type EvaluationRows = Record<string, Record<string, number | string>[]>;

/**
 * Anything that the loop can train. `B`: a batch; `S`: tensors, by name, that its loss shares with its phases; `P`: the
 * phases' names.
 */
export interface TrainingTask<B = unknown, S = Params, P extends string = string> {
  name: string;
  /** Initial values, which the loop owns from here on. */
  params: Params;
  /**
   * The data of one gradient: a pure function of its index, so that a resumed run sees what an uninterrupted one would.
   * Under accumulation a step takes `accumulate` consecutive indices. Where ranks share a batch it is this rank's rows of
   * it. Host arrays, or tensors, in records, which the loop disposes of.
   */
  batch(index: number): Promise<B>;
  /** Differentiable and pure; its tensors are freed by the loop. No gradient flows through what it shares. */
  loss(params: Params, batch: B, context: LossContext<P>): PhaseResult & { shared?: S };
  trains?(name: string): boolean;
  /** How several ranks move the buffers; needed where there are some. */
  bufferRule?: BufferRule;
  /**
   * The flag because of which the loss of a batch is not the mean of its rows' losses, so that ranks cannot share it;
   * absent: it is.
   */
  wholeBatches?: string | undefined;
  /** Which parameters decay; default: matrices and higher, so no norms and biases. */
  decays?(name: string, parameter: Tensor): boolean;
  /** By the names that their files in a checkpoint and their columns of metrics.csv carry. */
  phases?: Record<P, Phase<B, S, P>>;
  /** Numbers for validation.csv, or rows by table name for tables of the task's own. */
  evaluate?(context: TrainingSnapshot): Promise<Record<string, number> | { tables: EvaluationRows }>;
  dispose?(): Promise<void> | void;
}
