import { RandomNumbers, type RowsOfBatch } from '../base/index.js';
import { tf, type Tensor } from './tf.js';

/** Counter-based random numbers (see base/random.ts) that can also come as tensors. */
export class RandomStream extends RandomNumbers {
  override for(purpose: string): RandomStream {
    return new RandomStream(this.seed, `${this.purpose}/${purpose}`, this.step, this.index, this.rows);
  }

  override at(step: number, index = 0): RandomStream {
    return new RandomStream(this.seed, this.purpose, step, index, this.rows);
  }

  override forRows(rows: RowsOfBatch): RandomStream {
    return new RandomStream(this.seed, this.purpose, this.step, this.index, rows);
  }

  override forBatch(): RandomStream {
    return new RandomStream(this.seed, this.purpose, this.step, this.index);
  }

  /** A tensor of standard normal numbers. */
  normalTensor(shape: number[]): Tensor {
    return tf.tensor(this.normals(shape.reduce((a, b) => a * b, 1)), shape, 'float32');
  }
}
