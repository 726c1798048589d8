import { tf, type Tensor } from '../engine/index.js';
import type { Params } from '../nn/index.js';
import type { NetworkConfig } from './config.js';
import { forward, usedChannels, type NetworkInput } from './network.js';

/**
 * Guidance-free training (Chen et al. 2025): the network learns β e(x, y, β) + (1 − β) e(x, ∅, 1) = target, so that one
 * pass with β = 1/w gives what guidance with scale w would. The null branch gives no gradient. Where a label was
 * dropped (`input.labels` is null there) the network receives β = 1, and the mixture keeps the β that was drawn.
 */
export function guidanceFreePrediction(
  config: NetworkConfig,
  params: Params,
  { x, t, labels, beta }: NetworkInput & { beta: ArrayLike<number> },
): { mixed: Tensor; conditional: Tensor; unconditional: Tensor } {
  const rows = labels.length;
  const embedded = Float64Array.from({ length: rows }, (_, i) => (labels[i] === config.classes ? 1 : beta[i]));
  const conditional = forward(config, params, { x, t, labels, beta: embedded }).prediction;
  const unconditional = withoutGradient(() => {
    const nulls = new Int32Array(rows).fill(config.classes);
    return forward(config, params, { x, t, labels: nulls, beta: new Float64Array(rows).fill(1) }).prediction;
  });
  const weight = tf.tensor3d(Float32Array.from(beta), [rows, 1, 1]);
  const [c, u] = [usedChannels(config, conditional), usedChannels(config, unconditional)];
  return { mixed: c.mul(weight).add(u.mul(tf.sub(1, weight))), conditional: c, unconditional: u };
}

/** Runs `make` off the tape: its result is a constant. */
const withoutGradient = (make: () => Tensor): Tensor => tf.customGrad(() => ({ value: make(), gradFunc: () => [] }))();
