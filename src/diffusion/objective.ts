import { z } from 'zod';
import { tf, type Tensor } from '../engine/index.js';
import type { Params } from '../nn/index.js';
import type { NetworkConfig } from './config.js';
import type { Network } from './guidance.js';
import { forward, usedChannels } from './network.js';
import { PATHS } from './paths.js';
import { TO_VELOCITY } from './predictions.js';

/** What a network was trained to predict, and in which terms. */
export const objectiveSchema = z.object({
  path: z.enum(['linear', 'cosine', 'vp', 'ddpm']),
  prediction: z.enum(['velocity', 'noise', 'data', 'score']),
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
export function networkTime({ time, timeScale }: Objective, t: number): number {
  return timeScale * (time === 'noise-to-data' ? t : 1 - t);
}

/** A network's own output at inner time t → dx/dt in inner time. `out` and `x` [n, …]. */
export function velocityFrom({ path, prediction, time }: Objective, out: Tensor, x: Tensor, t: number): Tensor {
  if (prediction === 'velocity') return time === 'noise-to-data' ? out : out.neg();
  const { output, x: weight } = TO_VELOCITY[prediction](PATHS[path](t));
  return tf.tidy(() => out.mul(output).add(x.mul(weight)));
}

/** Parameters as a velocity network for samplers. `beta` is GFT's reciprocal guidance scale. */
export function velocityNetwork(config: NetworkConfig, params: Params, objective: Objective, beta?: number): Network {
  return (x, t, labels) =>
    tf.tidy(() => {
      const each = (value: number): Float64Array => new Float64Array(labels.length).fill(value);
      const { prediction } = forward(config, params, {
        x,
        t: each(networkTime(objective, t)),
        labels,
        beta: beta === undefined ? undefined : each(beta),
      });
      return velocityFrom(objective, usedChannels(config, prediction), x, t);
    });
}
