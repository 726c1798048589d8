import { tf, type ScatterSums, type Tensor2D } from '../engine/index.js';
import { rounded, type Centre } from './centre.js';

/** Columns whose products are asked for at a time: only what lies on and left of the diagonal is computed. */
const STRIP = 512;

/** Double-precision sums of single-precision panels' moments, by products of TensorFlow's; as `ScatterOnEngine`. */
export class ScatterByStrips {
  private readonly width: number;
  private readonly sums: Float64Array;
  private readonly products: Float64Array;

  constructor(private readonly about: Centre) {
    this.width = about.centre.length;
    this.sums = new Float64Array(this.width);
    this.products = new Float64Array(this.width ** 2);
  }

  /** Adds rows [count, width], which become centred. */
  add(rows: Float32Array): void {
    this.centre(rows);
    const { width } = this;
    tf.tidy(() => {
      const all = tf.tensor2d(rows, [rows.length / width, width]);
      const strips: Tensor2D[] = [];
      for (let first = 0; first < width; first += STRIP)
        strips.push(all.slice([0, first], [-1, Math.min(STRIP, width - first)]));
      strips.forEach((own, i) => strips.slice(0, i + 1).forEach((other, j) => this.addProducts(own, i, other, j)));
    });
  }

  read(): ScatterSums {
    return { sums: this.sums, products: this.products };
  }

  dispose(): void {
    // Its memory is JavaScript's.
  }

  private centre(rows: Float32Array): void {
    const { width, about, sums } = this;
    const own = new Float64Array(width);
    for (let from = 0; from < rows.length; from += width)
      for (let j = 0; j < width; j++) {
        const x = rows[from + j] - about.centre[j];
        own[j] += x;
        rows[from + j] = x;
      }
    own.forEach((sum, j) => (sums[j] += rounded(sum, about.sumLimits[j])));
  }

  private addProducts(own: Tensor2D, i: number, other: Tensor2D, j: number): void {
    const { width, products } = this;
    const { limits } = this.about;
    const product = tf.matMul(own, other, true, false);
    const values = product.dataSync();
    product.dispose();
    const [rows, columns] = product.shape;
    for (let row = 0; row < rows; row++) {
      const [down, across] = [i * STRIP + row, j * STRIP];
      const count = i === j ? row + 1 : columns;
      for (let column = 0; column < count; column++)
        products[down * width + across + column] += rounded(
          values[row * columns + column],
          limits[down] * limits[across + column],
        );
    }
  }
}
