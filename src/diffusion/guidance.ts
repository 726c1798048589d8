import { tf, type Tensor } from '../engine/index.js';
import type { VelocityField } from './samplers/index.js';

/**
 * Velocities [n, tokens, channels] in the inner convention (t = 0 noise) of rows with their own labels. What is guided
 * within an interval goes by the start of the step, default t.
 */
export type ConditionalField = (x: Tensor, t: number, labels: Int32Array, stepStart?: number) => Tensor;

export interface Guidance {
  /** w of u + w (c − u): 1 is the conditional network alone, 0 the unconditional one. */
  scale: number;
  /** Guided where low ≤ t ≤ high, t = 0 noise; plainly conditional elsewhere. */
  interval: [low: number, high: number];
  /** Guides the first channels only; absent: all. DiT, SiT and LightningDiT guided three. */
  channels?: number | undefined;
  /** Share of the guided velocity that is rescaled to the conditional one's standard deviation (Lin et al. 2024, §3.4). */
  rescale: number;
}

/** w of e + w (f − e), from the early prediction e to the whole network's f, and where it is applied. */
export type InternalGuidance = Pick<Guidance, 'scale' | 'interval'>;

export const NO_GUIDANCE: Guidance = { scale: 1, interval: [0, 1], rescale: 0 };

/** Rounding of a reversed time must not decide about a step. */
const SLACK = 1e-9;

export function isGuided({ scale, interval: [low, high] }: InternalGuidance, t: number): boolean {
  return scale !== 1 && t >= low - SLACK && t <= high + SLACK;
}

/** base + w (target − base) on the guided channels, `rest` on the others. */
export function mix(base: Tensor, target: Tensor, rest: Tensor, { scale, channels, rescale }: Guidance): Tensor {
  return tf.tidy(() => {
    const all = base.shape[base.rank - 1];
    if (channels !== undefined && channels < all) {
      const [first, others] = [channels, all - channels];
      const [b, t] = [base, target].map(x => tf.split(x, [first, others], -1)[0]);
      const guided = mix(b, t, t, { scale, rescale, interval: [0, 1] });
      return tf.concat([guided, tf.split(rest, [first, others], -1)[1]], -1);
    }
    const guided = base.add(target.sub(base).mul(scale));
    if (rescale === 0) return guided;
    const ratio = standardDeviation(target).div(standardDeviation(guided));
    return guided.mul(ratio.mul(rescale).add(1 - rescale));
  });
}

/** Standard deviation over all of a sample, [n, 1, …]. */
function standardDeviation(x: Tensor): Tensor {
  const axes = x.shape.map((_, i) => i).slice(1);
  return tf.moments(x, axes, true).variance.sqrt();
}

/** Classifier-free guidance (Ho & Salimans 2022): both halves in one batch. */
export function classifierFree(
  network: ConditionalField,
  labels: Int32Array,
  nullLabel: number,
  guidance: Guidance,
): VelocityField {
  const nulls = new Int32Array(labels.length).fill(nullLabel);
  const both = Int32Array.from([...labels, ...nulls]);
  return (x, t, stepStart) => {
    if (guidance.scale === 0 && isGuided(guidance, stepStart) && guidance.channels === undefined)
      return network(x, t, nulls, stepStart);
    if (!isGuided(guidance, stepStart)) return network(x, t, labels, stepStart);
    return tf.tidy(() => {
      const [conditional, unconditional] = tf.split(network(tf.concat([x, x]), t, both, stepStart), 2);
      return mix(unconditional, conditional, conditional, guidance);
    });
  };
}

/** Autoguidance (Karras et al. 2024): away from a worse network that is given the same label. */
export function autoguidance(
  main: ConditionalField,
  bad: ConditionalField,
  labels: Int32Array,
  guidance: Guidance,
): VelocityField {
  return (x, t, stepStart) => {
    if (!isGuided(guidance, stepStart)) return main(x, t, labels);
    return tf.tidy(() => {
      const target = main(x, t, labels);
      return mix(bad(x, t, labels), target, target, guidance);
    });
  };
}

/**
 * Internal guidance (as in RAEv2): away from what the network predicts from an early block itself, in one pass. The
 * result can be guided further, as a network's own.
 */
export function internallyGuided(
  {
    whole,
    both,
  }: { whole: ConditionalField; both: (...at: Parameters<ConditionalField>) => [whole: Tensor, early: Tensor] },
  guidance: InternalGuidance,
): ConditionalField {
  return (x, t, labels, stepStart = t) => {
    if (!isGuided(guidance, stepStart)) return whole(x, t, labels);
    return tf.tidy(() => {
      const [target, early] = both(x, t, labels);
      return mix(early, target, target, { ...guidance, rescale: 0 });
    });
  };
}
