import { tf, type Tensor, type Tensor1D } from '../engine/index.js';

/** A diagonal Gaussian over latents, as every KL autoencoder of the field keeps it. */
export interface Posterior {
  /** Also its mode. */
  mean: Tensor;
  /** Log-variance clamped to [−30, 20]. */
  logVariance: Tensor;
}

/** moments [..., 2c], mean first then log-variance along the last axis → two tensors [..., c]. */
export function posterior(moments: Tensor): Posterior {
  const [mean, logVariance] = tf.split(moments, 2, -1);
  return { mean, logVariance: tf.clipByValue(logVariance, -30, 20) };
}

/** mean + exp(½ log-variance) · noise. */
export function samplePosterior({ mean, logVariance }: Posterior, noise: Tensor): Tensor {
  return tf.tidy(() => mean.add(tf.exp(logVariance.mul(0.5)).mul(noise)));
}

/** Kullback–Leibler divergence from the standard normal in nats, summed over all axes but the first: [n]. */
export function klPerImage({ mean, logVariance }: Posterior): Tensor1D {
  return tf.tidy(() => {
    const terms = mean.square().add(tf.exp(logVariance)).sub(1).sub(logVariance);
    return terms.reshape([mean.shape[0], -1]).sum(1).mul<Tensor1D>(0.5);
  });
}
