import { hasKernels, tf, type FusedActivation, type Tensor } from '../engine/index.js';
import { differentiable } from './differentiable.js';
import { fusedActivation } from './fused.js';

/*
 * Activations as custom gradients over few operations: the closed form of the derivative from the saved input, where
 * TensorFlow.js would keep and walk a chain of intermediates.
 */

/** An elementwise function that knows its slope, so that the layers around it can be differentiated as one. */
export interface Activation {
  (x: Tensor): Tensor;
  /** `value` and `slope` are those of f / factor: a layer multiplies its weights by it, which are fewer numbers. */
  factor: number;
  value: (x: Tensor) => Tensor;
  valueAndSlope: (x: Tensor) => [value: Tensor, slope: Tensor];
  /** Its name among the engine's kernels. */
  kernel: FusedActivation;
}

function activation(parts: Pick<Activation, 'kernel' | 'factor' | 'value' | 'valueAndSlope'>): Activation {
  const { factor, value, valueAndSlope } = parts;
  const scaled = (x: Tensor): Tensor => (factor === 1 ? x : x.mul(factor));
  const f = differentiable(
    x => [scaled(value(x)), x],
    (dy, x) => [scaled(dy.mul(valueAndSlope(x)[1]))],
  );
  const fused = fusedActivation(parts.kernel);
  return Object.assign((x: Tensor) => (hasKernels() ? fused(x) : f(x)), parts);
}

const LOG_GAUSS = Math.log(2 / Math.sqrt(2 * Math.PI));

/** x Φ(x) with the exact normal distribution function (Hendrycks & Gimpel 2016). */
export const gelu = activation({
  kernel: 'gelu',
  factor: 0.5,
  value: x => x.mul(tf.erf(x.mul(Math.SQRT1_2)).add(1)),
  valueAndSlope: x => {
    const scaled = x.mul(Math.SQRT1_2);
    const twicePhi = tf.erf(scaled).add(1);
    const twiceDensity = tf.exp(tf.sub(LOG_GAUSS, scaled.square()));
    return [x.mul(twicePhi), twicePhi.add(x.mul(twiceDensity))];
  },
});

const LINEAR = 2 * Math.sqrt(2 / Math.PI);
const CUBIC = LINEAR * 0.044715;

/** GELU in its tanh approximation, as SiT and DiT use it; ½ (1 + tanh z) is σ(2z). */
export const geluTanh = activation({
  kernel: 'geluTanh',
  factor: 1,
  value: x => x.mul(tf.sigmoid(x.mul(x.square().mul(CUBIC).add(LINEAR)))),
  valueAndSlope: x => {
    const squared = x.square();
    const gate = tf.sigmoid(x.mul(squared.mul(CUBIC).add(LINEAR)));
    const steepness = x.mul(squared.mul(3 * CUBIC).add(LINEAR));
    return [x.mul(gate), gate.mul(steepness.mul(tf.sub(1, gate)).add(1))];
  },
});

/** x σ(x), also called swish. */
export const silu = activation({
  kernel: 'silu',
  factor: 1,
  value: x => x.mul(tf.sigmoid(x)),
  valueAndSlope: x => {
    const gate = tf.sigmoid(x);
    return [x.mul(gate), gate.mul(x.mul(tf.sub(1, gate)).add(1))];
  },
});
