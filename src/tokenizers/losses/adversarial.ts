import { tf, type Scalar, type Tensor } from '../../engine/index.js';
import type { Adversarial } from './names.js';

/** What the discriminator minimises, from its logits of real and of decoded images. */
export const discriminatorLoss: Record<Adversarial, (real: Tensor, fake: Tensor) => Scalar> = {
  /** ½ (⟨relu(1 − r)⟩ + ⟨relu(1 + f)⟩) (Lim & Ye 2017). */
  hinge: (real, fake) =>
    tf
      .relu(real.neg().add(1))
      .mean<Scalar>()
      .add(tf.relu(fake.add(1)).mean())
      .mul(0.5),
  /** ½ (⟨softplus(−r)⟩ + ⟨softplus(f)⟩) (Goodfellow et al. 2014). */
  'non-saturating': (real, fake) => tf.softplus(real.neg()).mean<Scalar>().add(tf.softplus(fake).mean()).mul(0.5),
};

/** What the tokenizer minimises, from the discriminator’s logits of decoded images. */
export const generatorLoss: Record<Adversarial, (fake: Tensor) => Scalar> = {
  /** −⟨f⟩ */
  hinge: fake => fake.mean<Scalar>().neg(),
  /** ⟨softplus(−f)⟩ (Goodfellow et al. 2014). */
  'non-saturating': fake => tf.softplus(fake.neg()).mean<Scalar>(),
};

/** Moving averages of the logits' means, which LeCam regularises against. */
export interface LogitMeans {
  real: Tensor;
  fake: Tensor;
}

/** What one batch leaves of the averages. */
export const LOGIT_DECAY = 0.999;

/** The averages after one more batch; they start at 0 and are updated before they are used. */
export function updateLogitMeans(
  { real, fake }: LogitMeans,
  realLogits: Tensor,
  fakeLogits: Tensor,
  decay = LOGIT_DECAY,
): LogitMeans {
  const moved = (mean: Tensor, logits: Tensor): Tensor => mean.mul(decay).add(logits.mean().mul(1 - decay));
  return { real: moved(real, realLogits), fake: moved(fake, fakeLogits) };
}

/** ⟨relu(r − f̄)²⟩ + ⟨relu(r̄ − f)²⟩ (Tseng et al. 2021). */
export function lecam(means: LogitMeans, real: Tensor, fake: Tensor): Scalar {
  const above = tf.relu(real.sub(means.fake)).square().mean<Scalar>();
  return above.add(tf.relu(means.real.sub(fake)).square().mean());
}

/**
 * How much the adversarial loss counts (Esser et al. 2021, eq. 7): the ratio of the gradients' norms at the decoder's
 * last layer, between 0 and `largest`.
 */
export function adaptiveWeight(reconstruction: Tensor, adversarial: Tensor, largest = 1e4): Scalar {
  return tf.tidy(() => {
    const norm = (gradient: Tensor): Scalar => gradient.square().sum<Scalar>().sqrt();
    return tf.clipByValue(norm(reconstruction).div<Scalar>(norm(adversarial).add(1e-4)), 0, largest);
  });
}

/** 0 before step `start`, 1 from there on. */
export const started = (step: number, start: number): number => (step >= start ? 1 : 0);

/** Linear from 0 to 1 over `steps`. */
export const rampUp = (step: number, steps: number): number => (steps === 0 ? 1 : Math.min(1, step / steps));
