import { RandomNumbers } from '../base/index.js';
import { tf, type Tensor, type Tensor2D } from '../engine/index.js';
import { allPairs, type Pairs } from './pairs.js';
import { orthonormalRows } from './orthonormal.js';

/** Eigenpairs of a space's projection, [size, size] vectors, and ‖A v − λ v‖ / λ₁ of each in the whole. */
export interface SpacePairs extends Pairs {
  residuals: Float64Array;
}

/**
 * A space that grows by what a symmetric matrix makes of its newest rows: block Lanczos (Golub & Underwood 1977), where every new row
 * is made orthogonal to all others, with thick restarts (Wu & Simon 2000). All in single precision on the engine.
 */
export class KrylovSpace {
  /** Orthonormal, [size, n]; the last `block` of them have been multiplied by the matrix, and that made orthogonal to all. */
  private basis: Tensor2D;
  /** The rows to grow by next, and what the matrix makes of the newest ones beyond the space in terms of them, [block, block]. */
  private next: Tensor2D;
  private coupling = new Float64Array(0);
  /** basis · A · basisᵀ, [most, most]. */
  private readonly projection: Float64Array;
  private readonly block: number;

  /** @param most dimensions that it may have */
  constructor(
    private readonly matrix: Tensor2D,
    private readonly most: number,
  ) {
    const [n] = matrix.shape;
    this.block = blockOf(n);
    const random = new RandomNumbers(0, 'krylov').normals(this.block * n);
    this.basis = tf.zeros([0, n]);
    this.next = orthonormalRows(tf.tensor2d(random, [this.block, n]));
    this.projection = new Float64Array(most * most);
  }

  get size(): number {
    return this.basis.shape[0];
  }

  /** Whether it may have no more dimensions. */
  get full(): boolean {
    return this.size + this.block > this.most;
  }

  /** By whole blocks, until it has so many dimensions or is full. */
  growTo(size: number): void {
    do this.grow();
    while (this.size < size && !this.full);
  }

  pairs(): SpacePairs {
    const { size, block, coupling } = this;
    const own = new Float64Array(size * size);
    for (let i = 0; i < size; i++) own.set(this.projection.subarray(i * this.most, i * this.most + size), i * size);
    const { values, vectors } = allPairs(own, size);
    const residuals = values.map((_, pair) => {
      const last = vectors.subarray((pair + 1) * size - block, (pair + 1) * size);
      let squares = 0;
      for (let j = 0; j < block; j++) {
        let sum = 0;
        for (let i = 0; i < block; i++) sum += last[i] * coupling[i * block + j];
        squares += sum * sum;
      }
      return Math.sqrt(squares) / values[0];
    });
    return { values, vectors, residuals };
  }

  /** Keeps the first pairs alone. */
  restart(pairs: Pairs, count: number): void {
    const kept = this.turned(pairs, count);
    this.basis.dispose();
    this.basis = kept;
    this.projection.fill(0);
    for (let i = 0; i < count; i++) this.projection[i * this.most + i] = pairs.values[i];
  }

  /** Of the first pairs in the whole, [count, n]. */
  vectors(pairs: Pairs, count: number): Float64Array {
    const rows = this.turned(pairs, count);
    const numbers = Float64Array.from(rows.dataSync());
    rows.dispose();
    return numbers;
  }

  private turned({ vectors }: Pairs, count: number): Tensor2D {
    const { size } = this;
    return tf.tidy(() =>
      tf.matMul(tf.tensor2d(Float32Array.from(vectors.subarray(0, count * size)), [count, size]), this.basis),
    );
  }

  dispose(): void {
    tf.dispose([this.basis, this.next]);
  }

  private grow(): void {
    const newest = this.next;
    const basis: Tensor2D = tf.concat([this.basis, newest], 0);
    this.basis.dispose();
    this.basis = basis;
    const [rest, within] = tf.tidy((): [Tensor2D, Tensor] => {
      const image: Tensor2D = tf.matMul(newest, this.matrix);
      const first = inTermsOf(basis, image);
      const once = image.sub<Tensor2D>(tf.matMul(first, basis));
      // Once more, since of what is nearly within the space little but rounding errors is left.
      const second = inTermsOf(basis, once);
      return [once.sub(tf.matMul(second, basis)), first.add(second)];
    });
    this.project(within.dataSync() as Float32Array);
    this.next = tf.tidy(() => {
      const rows = orthonormalRows(rest);
      return orthonormalRows(rows.sub(tf.matMul(inTermsOf(basis, rows), basis)));
    });
    const coupling = inTermsOf(this.next, rest);
    this.coupling = Float64Array.from(coupling.dataSync());
    tf.dispose([newest, rest, within, coupling]);
  }

  /** Takes up the newest rows' part, [block, size], of the projection. */
  private project(within: Float32Array): void {
    const { size, most } = this;
    for (let i = 0; i < this.block; i++)
      for (let j = 0; j < size; j++) {
        const row = size - this.block + i;
        this.projection[row * most + j] = this.projection[j * most + row] = within[i * size + j];
      }
  }
}

/** Rows of a block, for a matrix of so many: engines multiply a few as fast as one, and fewer take a smaller space. */
const blockOf = (n: number): number => Math.min(64, Math.ceil(n / 24));

/** rows · basisᵀ */
const inTermsOf = (basis: Tensor2D, rows: Tensor2D): Tensor2D => tf.matMul(rows, basis, false, true);
