import { hasOwnProduct } from './compiled.js';
import { DTYPE, freeHandle, onNative } from './native.js';
import { tf } from './tf.js';

/** What rows are summed about, and what sums are rounded by so that they can be added in any order; all [width]. */
interface ScatterLimits {
  centre: Float64Array;
  sumLimits: Float64Array;
  limits: Float64Array;
}

/** Sums about a centre, [width], and of products, [width, width], on and below the diagonal. */
export interface ScatterSums {
  sums: Float64Array;
  products: Float64Array;
}

/** Double-precision sums of single-precision panels' moments, held by the native engine: see native/moments.cc. */
export class ScatterOnEngine {
  private readonly width: number;
  private readonly about: number[];
  private readonly results: number[];

  /** Whether the engine has the kernel and the processor the products for it. */
  static exists(): boolean {
    return hasOwnProduct();
  }

  constructor({ centre, sumLimits, limits }: ScatterLimits) {
    this.width = centre.length;
    this.about = [centre, sumLimits, limits].map(numbers => held(numbers));
    this.results = [this.width, this.width ** 2].map(size => held(new Float64Array(size)));
  }

  /** Adds rows [count, width]. */
  add(rows: Float32Array): void {
    const x = tf.tensor2d(rows, [rows.length / this.width, this.width]);
    onNative(scope => scope.op('MaetokMoments', [...scope.ids([x]), ...this.about, ...this.results], {}, 0));
    x.dispose();
  }

  read(): ScatterSums {
    return onNative(scope => {
      const [sums, products] = this.results.map((id, i) =>
        scope.readFloat64({ id, shape: [this.width ** (i + 1)], dtype: DTYPE.float64 }),
      );
      return { sums, products };
    });
  }

  dispose(): void {
    for (const id of [...this.about, ...this.results]) freeHandle(id);
  }
}

/** A copy of the numbers, which outlives the scope. */
const held = (numbers: Float64Array): number =>
  onNative(scope =>
    scope.keep(scope.op('DeepCopy', [scope.float64(numbers, [numbers.length])], { T: { type: 'float64' } })[0]),
  );
