import { tf, type Tensor2D } from '../engine/index.js';
import type { Mixture } from '../gmm/index.js';

/**
 * The best velocity E[x₁ − x₀ | x_t] on the straight path x_t = t x₁ + (1 − t) x₀ from noise to rows of a mixture of round
 * components: within component k of variance λ it is μ + (tλ − (1 − t)) / (t²λ + (1 − t)²) · (x_t − tμ), and components
 * count by their posterior. x [n, dims], t [n, 1] → [n, dims].
 */
export function bestVelocity(mixture: Mixture, x: Tensor2D, t: Tensor2D): Tensor2D {
  const { components, dims, weights, means, covariances } = mixture;
  return tf.tidy(() => {
    const mu = tf.tensor2d(Float32Array.from(means), [components, dims]);
    const lambda = tf.tensor2d(Float32Array.from(covariances), [1, components]);
    const logWeights = tf.tensor2d(Float32Array.from(weights, Math.log), [1, components]);
    const noise = tf.sub(1, t);
    const variance = t.square().mul(lambda).add(noise.square()); // [n, k]
    const gain = t.mul(lambda).sub(noise).div(variance); // [n, k]
    const squares = x
      .square()
      .sum(1, true)
      .sub(tf.matMul(x, mu, false, true).mul(t).mul(2))
      .add(t.square().mul(mu.square().sum(1).reshape([1, components]))); // [n, k]
    const logs = logWeights.sub(squares.div(variance).mul(0.5)).sub(variance.log().mul(dims / 2));
    const posterior = tf.softmax(logs, 1); // [n, k]
    // Σ r (μ + g (x − tμ)) = (Σ r g) x + (r − t r g) μ
    const weighted = posterior.mul(gain);
    return weighted
      .sum(1, true)
      .mul(x)
      .add(tf.matMul(posterior.sub<Tensor2D>(weighted.mul(t)), mu));
  });
}
