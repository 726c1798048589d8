import { tf, type RandomStream, type Tensor } from '../engine/index.js';
/* Initial values from a random stream: give each tensor a stream of its own name, and any order gives the same model. */

const volume = (shape: number[]): number => shape.reduce((a, b) => a * b, 1);

/** Normal numbers of the given standard deviation, drawn again beyond ±2 (in standard deviations). */
export function truncatedNormal(random: RandomStream, shape: number[], std = 0.02): Tensor {
  const size = volume(shape);
  const values = random.normals(size);
  // About 4.6% fall outside; each is replaced from the stream's further draws, in order.
  let extra = random.for('redraw').normals(Math.ceil(size * 0.06) + 64);
  let next = 0;
  for (let i = 0; i < size; i++) {
    while (Math.abs(values[i]) > 2) {
      if (next === extra.length) {
        extra = random.for('redraw').normals(2 * extra.length);
      }
      values[i] = extra[next++];
    }
    values[i] *= std;
  }
  return tf.tensor(values, shape);
}

/** Uniform in ±√(6 / (fan in + fan out)) (Glorot & Bengio 2010). Weights are [out, in, …]. */
export function xavierUniform(random: RandomStream, shape: number[]): Tensor {
  const receptive = volume(shape.slice(2));
  return uniform(random, shape, Math.sqrt(6 / ((shape[0] + (shape[1] ?? 1)) * receptive)));
}

/** Uniform in ±bound. */
export function uniform(random: RandomStream, shape: number[], bound: number): Tensor {
  const values = random.uniforms(volume(shape));
  return tf.tensor(
    values.map(u => (2 * u - 1) * bound),
    shape,
  );
}

/** Normal numbers. */
export function normal(random: RandomStream, shape: number[], std: number): Tensor {
  return tf.tensor(
    random.normals(volume(shape)).map(z => z * std),
    shape,
  );
}
