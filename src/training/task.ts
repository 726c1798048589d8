import type { RandomStream, Tensor } from '../engine/index.js';
import type { LossResult, Params } from '../nn/index.js';

/** What a loss function may read besides its parameters and its batch. */
export interface LossContext {
  /** Updates done so far; the first step is 0. */
  step: number;
  /** Random numbers of this step (and of this part of it, under gradient accumulation). */
  random: RandomStream;
  /** Parameters of the task's phases as they were before this step, by phase name (`main` is the task's own). */
  phases: Record<string, Params>;
  /** Tensors that an earlier phase of the same step handed on. */
  shared: Params;
}

export interface PhaseResult extends LossResult {
  /** New values of parameters that no gradient moves: running statistics, power-iteration vectors. */
  buffers?: Params;
  /** Tensors for later phases of the same step; no gradient flows through them. */
  shared?: Params;
}

/**
 * A further set of parameters trained in the same run with a loss and an optimizer of its own, such as a
 * discriminator. Within a step every phase sees the parameters from before it; then all are updated.
 */
export interface Phase<B> {
  /** Names its files in a checkpoint. */
  name: string;
  params: Params;
  loss(params: Params, batch: B, context: LossContext): PhaseResult;
  /** Whether a parameter is trained; default all. */
  trains?(name: string): boolean;
  /** First step at which this phase runs; default 0. */
  start?: number;
  /** Replaces the run's value for this phase. */
  lr?: number;
}

/** What `evaluate` is given now and then, and after the last step. */
export interface EvaluateContext {
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

/** Anything that the loop can train. */
export interface TrainingTask<B = unknown> {
  name: string;
  /** Initial values, which the loop owns from here on. */
  params: Params;
  /**
   * The data of one gradient: a pure function of its index, so that a resumed run sees what an uninterrupted one would.
   * Under accumulation a step takes `accumulate` consecutive indices. Host arrays, or tensors one level deep, which
   * the loop disposes of.
   */
  batch(index: number): Promise<B>;
  /** Differentiable and pure; its tensors are freed by the loop. */
  loss(params: Params, batch: B, context: LossContext): PhaseResult;
  trains?(name: string): boolean;
  /** Which parameters decay; default: matrices and higher, so no norms and biases. */
  decays?(name: string, parameter: Tensor): boolean;
  phases?: Phase<B>[];
  /** Numbers for validation.csv, or rows by table name for tables of the task's own. */
  evaluate?(context: EvaluateContext): Promise<Record<string, number> | { tables: EvaluationRows }>;
  dispose?(): Promise<void> | void;
}
