import { RandomStream, tf, valueAndGradients, type Tensor } from '../../src/engine/index.js';
const random = new RandomStream(0);

export interface Differences {
  /** Half the distance between two values. */
  step?: number;
  /** At most so many entries of each input. */
  entries?: number;
}

/**
 * Largest error of the gradients of ⟨weights, f⟩ against central differences, relative to each input's largest gradient;
 * differences are summed in double precision.
 */
export function gradientError(
  f: (...inputs: Tensor[]) => Tensor,
  inputs: Tensor[],
  { step = 1e-2, entries = 24 }: Differences = {},
): number {
  const weights = tf.tidy(() => random.for('weights').normalTensor(f(...inputs).shape));
  const { value, gradients } = valueAndGradients(() => f(...inputs), inputs, { dy: weights });
  const dy = weights.dataSync().slice();
  tf.dispose([value, weights]);
  let worst = 0;
  inputs.forEach((input, i) => {
    const values = input.dataSync().slice();
    const gradient = gradients[i]?.dataSync().slice() ?? new Float32Array(values.length);
    gradients[i]?.dispose();
    const moved = (entry: number, by: number): Float32Array =>
      tf.tidy(() => {
        const changed = values.slice();
        changed[entry] += by;
        return f(...inputs.map((x, j) => (j === i ? tf.tensor(changed, input.shape) : x))).dataSync() as Float32Array;
      });
    const largest = Math.max(...gradient.map(Math.abs), 1e-3);
    for (let entry = 0; entry < values.length; entry += Math.ceil(values.length / entries)) {
      const [up, down] = [moved(entry, step).slice(), moved(entry, -step).slice()];
      const slope = up.reduce((sum, y, k) => sum + (y - down[k]) * dy[k], 0) / (2 * step);
      worst = Math.max(worst, Math.abs(slope - gradient[entry]) / largest);
    }
  });
  return worst;
}
