import { hasKernels } from './compiled.js';
import { run } from './kernels.js';
import { tf, type Tensor, type Tensor4D } from './tf.js';

/*
 * Convolutions of 3 × 3 at stride 1 by Winograd's F(4×4, 3×3) (Lavin & Gray 2016), a quarter of the multiplications: the
 * kernels of native/convolution.cc around TensorFlow's product of matrices.
 */

/** Tiles of 4 × 4 outputs at a time: what is between the kernels stays in the cache, and small beside the image. */
const STRIP = 512;

/** Below so many channels on either side transforming costs more than it saves. */
const FEWEST_CHANNELS = 96;

/** Whether filters [kh, kw, in, out] at this stride are better convolved this way. */
export function suitsWinograd(filters: Tensor, stride: number): boolean {
  const [height, width, inputs, outputs] = filters.shape as [number, number, number, number];
  return hasKernels() && height === 3 && width === 3 && stride === 1 && Math.min(inputs, outputs) >= FEWEST_CHANNELS;
}

/** x [n, h, w, in], zeros around it, filters [3, 3, in, out], bias [out] or [0] → [n, h', w', out], in float32. */
export function winograd(
  x: Tensor,
  filters: Tensor,
  bias: Tensor,
  [top, bottom, left, right]: [top: number, bottom: number, left: number, right: number],
): Tensor4D {
  const [n, h, w] = x.shape as [number, number, number];
  const [, , inputs, outputs] = filters.shape as [number, number, number, number];
  const [height, width] = [h + top + bottom - 2, w + left + right - 2];
  return tf.tidy(() => {
    const transformed = tf.matMul(filterTransform(), filters.reshape([9, inputs * outputs]));
    const weights = transformed.reshape([36, inputs, outputs]);
    const y = empty([n, height, width, outputs]);
    const count = n * Math.ceil(height / 4) * Math.ceil(width / 4);
    for (let first = 0; first < count; first += STRIP)
      tf.tidy(() => {
        const strip = tf.tensor1d([first, Math.min(STRIP, count - first)], 'int32');
        const margins = { height: { int: height }, width: { int: width }, top: { int: top }, left: { int: left } };
        const [tiles] = run('MaetokWinogradInput', [x, strip], margins);
        run('MaetokWinogradOutput', [tf.matMul(tiles, weights), bias, strip, y], {}, 0);
      });
    return y as Tensor4D;
  });
}

/** A tensor whose numbers are written afterwards. */
function empty(shape: number[]): Tensor {
  return tf.tidy(
    () => run('Empty', [tf.tensor1d(shape, 'int32')], { dtype: { type: 'float32' }, init: { bool: false } })[0],
  );
}

/** Filters as values at the points of interpolation, which native/convolution.cc names; both axes at once, [36, 9]. */
function filterTransform(): Tensor {
  const [near, far] = [Math.SQRT1_2, Math.SQRT2];
  const axis = [
    [1, 0, 0],
    ...[near, -near].map(p => [1, p, p * p].map(power => power / -1.5)),
    ...[far, -far].map(p => [1, p, p * p].map(power => power / 6)),
    [0, 0, 1],
  ];
  const rows = axis.flatMap(a => axis.map(b => a.flatMap(left => b.map(right => left * right))));
  return tf.tensor2d(rows);
}
