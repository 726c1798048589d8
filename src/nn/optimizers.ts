import { tf, type Tensor } from '../engine/index.js';
import type { Params } from './params.js';

/* Optimizers as two pure functions over records: `init` gives the state, `update` new parameters and a new state. */

export interface UpdateOptions {
  /** Number of this update, from 1 (bias correction). */
  step: number;
  lr: number;
  /** Which parameters decay; default: matrices and higher, so no norms and biases. */
  decays?: (name: string, parameter: Tensor) => boolean;
}

export interface Optimizer {
  name: string;
  init(params: Params): Params;
  /** New tensors throughout; parameters without a gradient are handed back as they are. The caller disposes of the old. */
  update(params: Params, grads: Params, state: Params, options: UpdateOptions): { params: Params; state: Params };
}

export interface AdamOptions {
  betas?: [number, number];
  eps?: number;
  weightDecay?: number;
}

/** AdamW: decay is taken from the weights themselves, scaled by the learning rate (Loshchilov & Hutter 2019). */
export function adamw({ betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0.01 }: AdamOptions = {}): Optimizer {
  return { name: 'adamw', init: moments, update: adamUpdate(betas, eps, weightDecay, 'decoupled') };
}

/** Adam (Kingma & Ba 2015); `weightDecay` is the L2 term in the gradient. */
export function adam({ betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0 }: AdamOptions = {}): Optimizer {
  return { name: 'adam', init: moments, update: adamUpdate(betas, eps, weightDecay, 'gradient') };
}

/** First and second moments under `m.<name>` and `v.<name>`. */
function moments(params: Params): Params {
  return Object.fromEntries(
    Object.entries(params).flatMap(([name, value]) => [
      [`m.${name}`, tf.zerosLike(value)],
      [`v.${name}`, tf.zerosLike(value)],
    ]),
  );
}

const decaysByRank = (_: string, parameter: Tensor): boolean => parameter.rank > 1;

function adamUpdate(
  [beta1, beta2]: [number, number],
  eps: number,
  weightDecay: number,
  decay: 'decoupled' | 'gradient',
): Optimizer['update'] {
  return (params, grads, state, { step, lr, decays = decaysByRank }) => {
    const size = lr / (1 - beta1 ** step);
    const correction = Math.sqrt(1 - beta2 ** step);
    const next: { params: Params; state: Params } = { params: {}, state: {} };
    for (const name in params) {
      const [p, grad, m, v] = [params[name], grads[name], state[`m.${name}`], state[`v.${name}`]] as (
        Tensor | undefined
      )[];
      if (!grad || !p || !m || !v) {
        next.params[name] = params[name];
        if (m && v) Object.assign(next.state, { [`m.${name}`]: m, [`v.${name}`]: v });
        continue;
      }
      const rate = weightDecay !== 0 && decays(name, p) ? weightDecay : 0;
      const [p1, m1, v1] = tf.tidy((): [Tensor, Tensor, Tensor] => {
        const g = rate !== 0 && decay === 'gradient' ? grad.add(p.mul(rate)) : grad;
        const m1 = m.mul(beta1).add(g.mul(1 - beta1));
        const v1 = v.mul(beta2).add(g.square().mul(1 - beta2));
        // lr · m̂ / (√v̂ + eps), both bias corrections folded into two numbers.
        const change = m1.div(tf.sqrt(v1).add(eps * correction)).mul(size * correction);
        const kept = rate !== 0 && decay === 'decoupled' ? p.mul(1 - lr * rate) : p;
        return [kept.sub(change), m1, v1];
      });
      next.params[name] = p1;
      next.state[`m.${name}`] = m1;
      next.state[`v.${name}`] = v1;
    }
    return next;
  };
}
