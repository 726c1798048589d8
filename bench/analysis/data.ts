import { RandomNumbers } from '../../src/base/index.js';
import { tf, type Tensor2D } from '../../src/engine/index.js';
import { npyStream } from './npy-stream.js';

export interface Planted {
  rows: number;
  dims: number;
  modes: number;
  seed?: number;
}

const CHUNK = 2000;
/** Directions in which a mode is wider than in the others. */
const RANK = 8;

/**
 * Rows of a planted mixture as latents have it: modes that overlap, each longer in a few directions of its own, and rows
 * that are farther out than a Gaussian's.
 */
export async function writePlanted(path: string, { rows, dims, modes, seed = 0 }: Planted): Promise<void> {
  const random = new RandomNumbers(seed, 'planted');
  const centres = random.for('centres').normals(modes * dims);
  const axes = random.for('axes').normals(modes * RANK * dims);
  await npyStream(path, rows, dims, CHUNK, (start, count) => {
    const own = random.at(start);
    const noise = own.for('noise').normals(count * dims);
    const factors = own.for('factors').normals(count * RANK);
    const picks = own.for('modes').integers(count, modes);
    const widths = own.for('widths').normals(count);
    const data = new Float32Array(count * dims);
    for (let n = 0; n < count; n++) {
      const width = Math.exp(0.3 * widths[n]);
      for (let j = 0; j < dims; j++) {
        let x = 0.6 * noise[n * dims + j];
        for (let r = 0; r < RANK; r++) x += 0.25 * factors[n * RANK + r] * axes[(picks[n] * RANK + r) * dims + j];
        data[n * dims + j] = 0.45 * centres[picks[n] * dims + j] + width * x;
      }
    }
    return data;
  });
}

/** Rows whose spectrum falls by a power law, as latents' does: `factors` directions and a little noise. */
export async function writeFactors(path: string, rows: number, dims: number, factors: number): Promise<void> {
  const random = new RandomNumbers(0, 'factors');
  const loadings = tf.tidy(() => {
    const scale = tf.range(1, factors + 1).pow(-0.5);
    const normals = tf.tensor2d(random.for('loadings').normals(factors * dims), [factors, dims]);
    return normals.mul<Tensor2D>(scale.expandDims(1));
  });
  await npyStream(path, rows, dims, CHUNK, (start, count) => {
    const own = random.at(start);
    const noise = own.for('noise').normals(count * dims);
    const scores = tf.tensor2d(own.for('scores').normals(count * factors), [count, factors]);
    const product = tf.matMul(scores, loadings);
    const data = product.dataSync() as Float32Array;
    tf.dispose([scores, product]);
    return data.map((value, i) => value + 0.3 * noise[i]);
  });
  loadings.dispose();
}
