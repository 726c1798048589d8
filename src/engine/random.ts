import { RandomNumbers } from '../base/index.js';
import { tf, type Tensor } from './tf.js';

/** Counter-based random numbers (see base/random.ts) that can also come as tensors. */
export class RandomStream extends RandomNumbers {
  override for(purpose: string): RandomStream {
    return new RandomStream(this.seed, `${this.purpose}/${purpose}`, this.step, this.index);
  }

  override at(step: number, index = 0): RandomStream {
    return new RandomStream(this.seed, this.purpose, step, index);
  }

  /** A tensor of standard normal numbers. */
  normalTensor(shape: number[]): Tensor {
    return tf.tensor(this.normals(shape.reduce((a, b) => a * b, 1)), shape, 'float32');
  }
}
