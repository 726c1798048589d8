import { applyAdam, tf, variable, type Tensor, type Variable } from '../engine/index.js';
import type { Params } from './params.js';

export interface StepOptions {
  lr: number;
  /** Scalar that multiplies every gradient (clipping, averaging); default 1. */
  factor?: Tensor;
  /**
   * Scalar, 1 or 0; default 1. With 0, and `factor` 0, a step changes nothing at all, even where gradients are not
   * finite: whether a step counts can be decided on the device, without reading anything back.
   */
  gate?: Tensor;
}

/** Weights and the state of the method that trains them, changed in place. */
export interface Optimizer {
  /** The weights now, for the caller to dispose of before the next `step` (what is alive then costs a copy). */
  read(): Params;
  /** Moves the weights that have a gradient. */
  step(gradients: Params, options: StepOptions): void;
  /** What a checkpoint needs besides the weights; the caller's to dispose of. */
  state(): Params;
  restore(weights: Params, state: Params): void;
  dispose(): void;
}

export interface AdamOptions {
  betas?: [number, number];
  eps?: number;
  weightDecay?: number;
  /** Which parameters decay; default: matrices and higher, so no norms and biases. */
  decays?: (name: string, parameter: Tensor) => boolean;
}

interface Slot {
  p: Variable;
  /** First and second moments. */
  m: Variable;
  v: Variable;
  decays: boolean;
}

/**
 * AdamW over copies of `params`: decay is taken from the weights themselves, scaled by the learning rate (Loshchilov
 * & Hutter 2019, algorithm 2). Its state is `m.<name>`, `v.<name>` and `updates`, the number of steps that counted.
 */
export function adamw(
  params: Params,
  { betas: [beta1, beta2] = [0.9, 0.999], eps = 1e-8, weightDecay = 0.01, decays = isMatrix }: AdamOptions = {},
): Optimizer {
  const slots = new Map(Object.entries(params).map(([name, value]) => [name, slot(value, decays(name, value))]));
  const none = tf.scalar(0);
  const updates = variable(none);
  none.dispose();

  /** 1 − βᵗ, exact for small t too. */
  const correction = (beta: number, t: Tensor): Tensor => tf.expm1(t.mul(Math.log(beta))).neg();

  function step(gradients: Params, { lr, factor = tf.scalar(1), gate = tf.scalar(1) }: StepOptions): void {
    updates.assign(updates.read().add(gate));
    const t = updates.read().maximum(1);
    const root = correction(beta2, t).sqrt();
    const scalars = {
      beta1: tf.sub(1, gate.mul(1 - beta1)),
      beta2: tf.sub(1, gate.mul(1 - beta2)),
      size: root.mul(lr).mul(gate).div(correction(beta1, t)),
      epsilonHat: root.mul(eps),
      factor,
    };
    const terms = Object.entries(gradients).map(([name, gradient]) => ({ ...slots.get(name)!, gradient }));
    const [decaying, others] = [true, false].map(decays => terms.filter(term => term.decays === decays));
    applyAdam(decaying, { ...scalars, ...(weightDecay > 0 && { kept: tf.sub(1, gate.mul(lr * weightDecay)) }) });
    applyAdam(others, scalars);
  }

  return {
    read: () => Object.fromEntries([...slots].map(([name, { p }]) => [name, p.read()])),
    step: (gradients, options) => tf.tidy(() => step(gradients, options)),
    state: () => ({
      ...Object.fromEntries([...slots].map(([name, { m }]) => [`m.${name}`, m.read()])),
      ...Object.fromEntries([...slots].map(([name, { v }]) => [`v.${name}`, v.read()])),
      updates: updates.read(),
    }),
    restore: (weights, state) => {
      for (const [name, { p, m, v }] of slots) {
        p.assign(weights[name]);
        m.assign(state[`m.${name}`]);
        v.assign(state[`v.${name}`]);
      }
      updates.assign(state.updates);
    },
    dispose: () => {
      for (const { p, m, v } of slots.values()) [p, m, v].forEach(part => part.dispose());
      updates.dispose();
    },
  };
}

const isMatrix = (_: string, parameter: Tensor): boolean => parameter.rank > 1;

function slot(value: Tensor, decays: boolean): Slot {
  const zeros = tf.zerosLike(value);
  const made = { p: variable(value), m: variable(zeros), v: variable(zeros), decays };
  zeros.dispose();
  return made;
}
