import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { matMul, RandomStream, startEngine, tf, valueAndGradients, type Tensor } from '../../src/engine/index.js';
import { hasOwnProduct, withoutKernels } from '../../src/engine/compiled.js';
import { configureEngine } from '../../src/engine/options.js';
import { linear } from '../../src/nn/index.js';

let available = false;
beforeAll(async () => {
  await startEngine();
  available = hasOwnProduct();
  if (!available) process.stderr.write('this processor has no product of our own: it is not compared\n');
});
afterEach(() => configureEngine({}));

const random = new RandomStream(5);
const draw = (name: string, shape: number[]): Tensor => random.for(name).normalTensor(shape);

interface Case {
  /** Leading axes, rows, depth and columns. */
  size: [number[], number, number, number];
  transposeA?: boolean;
  transposeB?: boolean;
}

const CASES: [string, Case][] = [
  ['whole panels', { size: [[], 64, 128, 96] }],
  ['cut short on every side', { size: [[], 77, 45, 131] }],
  ['a transposed', { size: [[], 77, 45, 131], transposeA: true }],
  ['b transposed', { size: [[], 77, 45, 131], transposeB: true }],
  ['both transposed', { size: [[], 77, 45, 131], transposeA: true, transposeB: true }],
  ['many, each thread its own', { size: [[3, 5], 49, 16, 50], transposeB: true }],
  ['deeper than what is summed at once', { size: [[], 40, 3000, 33] }],
  ['a few, all threads at each', { size: [[2], 300, 1100, 270], transposeA: true }],
  ['larger than the memory for panels', { size: [[], 40, 200_003, 36], transposeA: true }],
];

const operands = ({ size: [leading, m, k, n], transposeA, transposeB }: Case): [Tensor, Tensor] => [
  draw('a', [...leading, ...(transposeA ? [k, m] : [m, k])]),
  draw('b', [...leading, ...(transposeB ? [n, k] : [k, n])]),
];

/** Root mean square of a − b over that of b. */
const apart = (a: Tensor, b: Tensor): number =>
  tf.tidy(() => a.sub(b).square().mean().div(b.square().mean()).sqrt().dataSync()[0]);

describe('our own products', () => {
  test.each(CASES)('are as good as float32’s: %s', async (_, options) => {
    if (!available) return;
    const [a, b] = operands(options);
    const found = matMul(a, b, options);
    const own = await withoutKernels(() => Promise.resolve(matMul(a, b, options)));
    expect(found.shape).toEqual(own.shape);
    expect(apart(found, own)).toBeLessThan(2e-6);
    // No longer sums of three parts: as if rounded to 16 bits, they would be off by 1e-5.
    const exact = doubles(a, b, options);
    if (exact) expect(apart(found, exact)).toBeLessThan(4e-7);
    tf.dispose([a, b, found, own]);
  });

  test.each(CASES.slice(0, 8))('under bf16 are float32 sums of rounded operands: %s', (_, options) => {
    if (!available) return;
    const [a, b] = operands(options);
    const expected = matMul(rounded(a), rounded(b), options);
    configureEngine({ precision: 'bf16' });
    expect(apart(matMul(a, b, options), expected)).toBeLessThan(2e-6);
  });

  test.each([
    ['f32', 3e-6],
    ['bf16', 3e-2],
  ] as const)('of a linear layer have its bias and its gradients in %s', async (precision, tolerance) => {
    if (!available) return;
    const [weight, bias, x] = [draw('w', [70, 90]), draw('bias', [70]), draw('x', [2, 50, 90])];
    const layer = (w: Tensor, b: Tensor, input: Tensor): Tensor => linear({ weight: w, bias: b }, input);
    const everything = (): Tensor[] => {
      const dy = draw('dy', [2, 50, 70]);
      const { value, gradients } = valueAndGradients(() => layer(weight, bias, x), [weight, bias, x], { dy });
      return [value, ...gradients.map(gradient => gradient!)];
    };
    const composed = await withoutKernels(() => Promise.resolve([...everything(), layer(weight, bias, x)]));
    configureEngine({ precision });
    [...everything(), layer(weight, bias, x)].forEach((found, i) =>
      expect(apart(found, composed[i])).toBeLessThan(tolerance),
    );
  });

  test('have the same bits whatever the other rows and columns are', () => {
    if (!available) return;
    const [a, b] = operands({ size: [[], 200, 900, 150] });
    const whole = matMul(a, b).slice([32, 7], [70, 90]);
    const part = matMul(a.slice([32, 0], [70, -1]), b.slice([0, 7], [-1, 90]));
    expect(part.dataSync()).toEqual(whole.dataSync());
  });

  test('of infinities and of what is no number are what the definition says', () => {
    if (!available) return;
    const [a, b] = operands({ size: [[], 64, 64, 64] });
    const bad = a.bufferSync();
    bad.set(Infinity, 3, 5);
    bad.set(NaN, 9, 1);
    const product = matMul(bad.toTensor(), b).arraySync() as number[][];
    const expected = matMul(a, b).arraySync() as number[][];
    const column = b.slice([5, 0], [1, -1]).dataSync();
    expect(product[3]).toEqual(Array.from(column, x => Infinity * x));
    expect(product[9].every(Number.isNaN)).toBe(true);
    expect(product[10]).toEqual(expected[10]);
  });
});

const rounded = (x: Tensor): Tensor => {
  const bits = new Uint32Array((x.dataSync() as Float32Array).slice().buffer);
  const nearest = bits.map(bit => ((bit + 0x7fff + ((bit >>> 16) & 1)) >>> 16) << 16);
  return tf.tensor(new Float32Array(nearest.buffer), x.shape);
};

/** In double precision, of two small matrices. */
function doubles(a: Tensor, b: Tensor, { size: [leading, m, k, n], transposeA, transposeB }: Case): Tensor | undefined {
  if (leading.length > 0 || m * k * n > 1e7) return undefined;
  const [x, y] = [a.dataSync(), b.dataSync()];
  const product = Float32Array.from({ length: m * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    let sum = 0;
    for (let l = 0; l < k; l++) sum += x[transposeA ? l * m + i : i * k + l] * y[transposeB ? j * k + l : l * n + j];
    return sum;
  });
  return tf.tensor2d(product, [m, n]);
}
