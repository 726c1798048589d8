import { eigenvalues, eigh, hostMatMul } from '../../engine/index.js';

/** Rows about their mean, by position [t, n, c]: the same memory is [t · n, c] and [t, n · c]. */
export interface CentredRows {
  n: number;
  t: number;
  c: number;
  data: Float64Array;
}

/** Eigenvalues of a covariance of channels and one of positions, each up to a factor: as many as the rows can tell. */
export interface KroneckerSpectra {
  channels: Float64Array;
  positions: Float64Array;
}

/** Up to this share of the largest eigenvalue, one is rounding. */
const ROUNDING = 1e-12;

/**
 * Covariance of the rows as the product of one of their positions and one of their channels, fitted by turns (flip-flop;
 * Dutilleul 1999): each is that of the rows from which the other has been taken out. Begins with the channels. As in the
 * published recipe a factor has as many eigenvalues as it has columns, or rows where there are fewer of them.
 */
export function kroneckerSpectra({ n, t, c, data }: CentredRows, alternations: number): KroneckerSpectra {
  const counts = { channels: Math.min(n * t, c), positions: Math.min(n * c, t) };
  let without = { data, rows: t * n };
  for (let turn = 1; ; turn++) {
    const channels = eigh(scatter(without.data, without.rows, c), c);
    const byChannels = whitening(channels);
    const whitened = hostMatMul(data, byChannels.axes, { m: t * n, k: c, n: byChannels.kept });
    const k = n * byChannels.kept;
    const products = hostMatMul(whitened, whitened, { m: t, k, n: t, transposeB: true });
    if (turn === alternations)
      return {
        channels: largest(channels.values, counts.channels),
        positions: largest(eigenvalues(products, t), counts.positions),
      };
    const byPositions = whitening(eigh(products, t));
    without = {
      data: hostMatMul(byPositions.axes, data, { m: byPositions.kept, k: t, n: n * c, transposeA: true }),
      rows: byPositions.kept * n,
    };
  }
}

/** Xᵀ X of `rows` rows of `width`. */
const scatter = (x: Float64Array, rows: number, width: number): Float64Array =>
  hostMatMul(x, x, { m: width, k: rows, n: width, transposeA: true });

/** Axes [width, kept] along which rows have unit variance; those that the rows do not vary along are left out. */
function whitening({ values, vectors }: { values: Float64Array; vectors: Float64Array }) {
  const width = values.length;
  const first = values.findIndex(value => value > ROUNDING * values[width - 1]);
  const kept = first < 0 ? 0 : width - first;
  const axes = new Float64Array(width * kept);
  for (let i = 0; i < width; i++)
    for (let j = 0; j < kept; j++) axes[i * kept + j] = vectors[i * width + first + j] / Math.sqrt(values[first + j]);
  return { axes, kept };
}

/** The last `count` of ascending eigenvalues; rounding may have made them negative. */
const largest = (values: Float64Array, count: number): Float64Array =>
  values.slice(values.length - count).map(value => Math.max(0, value));
