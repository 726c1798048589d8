import { z } from 'zod';
import { tf, type Tensor, type Tensor3D } from '../engine/index.js';
import type { Params } from '../nn/index.js';
import type { NetworkConfig } from './config.js';
import type { ConditionalField } from './guidance.js';
import { PATH_NAMES, PREDICTIONS } from './names.js';
import { noisyAt } from './loss.js';
import { forward, hiddenStates, usedChannels } from './network.js';
import { PATHS } from './paths.js';
import { TO_VELOCITY } from './predictions.js';

/** What a network was trained to predict, and in which terms. */
export const objectiveSchema = z.object({
  path: z.enum(PATH_NAMES),
  prediction: z.enum(PREDICTIONS),
  /** Which way the network's own time runs; inside it is always from noise to data. */
  time: z.enum(['noise-to-data', 'data-to-noise']),
  /** The network's time at its far end: 1, or 999 for DDPM's numbered steps. */
  timeScale: z.number().positive(),
});

export type Objective = z.output<typeof objectiveSchema>;

/** The objective of this project's own training, and of SiT's and LightningDiT's. */
export const OWN_OBJECTIVE: Objective = {
  path: 'linear',
  prediction: 'velocity',
  time: 'noise-to-data',
  timeScale: 1,
};

/** Inner time (0 noise, 1 data) → the number that the network is given. */
function networkTime({ time, timeScale }: Objective, t: number): number {
  return timeScale * (time === 'noise-to-data' ? t : 1 - t);
}

/** A network's own output at inner time t → dx/dt in inner time. `out` and `x` [n, …]. */
export function velocityFrom({ path, prediction, time }: Objective, out: Tensor, x: Tensor, t: number): Tensor {
  if (prediction === 'velocity') return time === 'noise-to-data' ? out : out.neg();
  const { output, x: weight } = TO_VELOCITY[prediction](PATHS[path](t));
  return tf.tidy(() => out.mul(output).add(x.mul(weight)));
}

/** A network with its weights and the terms in which it predicts. */
export interface Predictor {
  config: NetworkConfig;
  params: Params;
  objective: Objective;
}

/**
 * What the network gives for rows that share an inner time, in its own terms. `beta` is the reciprocal guidance scale
 * that networks of guidance-free training take; 1 is their plain conditional prediction.
 */
export function predictAt(
  { config, params, objective }: Predictor,
  x: Tensor,
  t: number,
  labels: Int32Array,
  beta = 1,
): Tensor {
  const each = (value: number): Float64Array => new Float64Array(labels.length).fill(value);
  return tf.tidy(() => {
    const { prediction } = forward(config, params, {
      x,
      t: each(networkTime(objective, t)),
      labels,
      beta: config.beta ? each(beta) : undefined,
    });
    return usedChannels(config, prediction);
  });
}

/**
 * The tokens after so many blocks, [n, sequence, width], of latents that were noised to an inner time. data and noise
 * [n, tokens, channels].
 */
export function hiddenStatesAt(
  { config, params, objective }: Predictor,
  { data, noise, labels }: { data: Tensor; noise: Tensor; labels: Int32Array },
  t: number,
  after: number,
): Tensor3D {
  const each = (value: number): Float64Array => new Float64Array(labels.length).fill(value);
  return tf.tidy(() => {
    const x = noisyAt(objective.path, data, noise, each(t));
    const input = { x, t: each(networkTime(objective, t)), labels, beta: config.beta ? each(1) : undefined };
    return hiddenStates(config, params, input, after);
  });
}

/** A model as a velocity network for samplers. */
export function velocityNetwork(model: Predictor, beta?: number): ConditionalField {
  return (x, t, labels) => tf.tidy(() => velocityFrom(model.objective, predictAt(model, x, t, labels, beta), x, t));
}

/** The velocities that a model with an early prediction stands for: the whole network's and the early one's. */
export function bothVelocities(
  { config, params, objective }: Predictor,
  x: Tensor,
  t: number,
  labels: Int32Array,
): [whole: Tensor, early: Tensor] {
  const times = new Float64Array(labels.length).fill(networkTime(objective, t));
  const { prediction, activations } = forward(config, params, { x, t: times, labels }, name => name === 'early');
  const velocity = (out: Tensor): Tensor => velocityFrom(objective, usedChannels(config, out), x, t);
  return [velocity(prediction), velocity(activations.early)];
}
