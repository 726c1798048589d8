/** Weights along each axis, and what turns the window's variance into the one that is meant. */
export interface SsimWindow {
  weights: Float64Array;
  /** n / (n − 1) where the sample covariance is meant, else 1. */
  correction: number;
  /** Every pixel is the middle of a window, which reaches into the image's mirror image; else windows stay inside. */
  mirrored: boolean;
}

/** 11 × 11, standard deviation 1.5 (Wang et al. 2004), at every pixel as torchmetrics has it. */
export const GAUSSIAN_WINDOW: SsimWindow = { weights: gaussian(11, 1.5), correction: 1, mirrored: true };

/** 7 × 7, all pixels alike, scikit-image's default. */
export const UNIFORM_WINDOW: SsimWindow = {
  weights: new Float64Array(7).fill(1 / 7),
  correction: 49 / 48,
  mirrored: false,
};

function gaussian(size: number, sigma: number): Float64Array {
  const weights = Float64Array.from({ length: size }, (_, i) =>
    Math.exp(-((i - (size - 1) / 2) ** 2) / (2 * sigma ** 2)),
  );
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map(weight => weight / sum);
}

export interface SsimOptions {
  height: number;
  width: number;
  window: SsimWindow;
  /** Largest possible difference of two values. */
  range: number;
}

/**
 * Structural similarity of two images [height, width, 3] (Wang et al. 2004, K₁ = 0.01, K₂ = 0.03): the mean over
 * channels and over all places of the window.
 */
export function ssim(a: ArrayLike<number>, b: ArrayLike<number>, options: SsimOptions): number {
  let sum = 0;
  for (let channel = 0; channel < 3; channel++) sum += channelSsim(a, b, channel, options);
  return sum / 3;
}

function channelSsim(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  channel: number,
  { height, width, window, range }: SsimOptions,
): number {
  const pixels = height * width;
  const planes = Array.from({ length: 5 }, () => new Float64Array(pixels));
  const [x, y, xx, yy, xy] = planes;
  for (let i = 0, at = channel; i < pixels; i++, at += 3) {
    x[i] = a[at];
    y[i] = b[at];
    xx[i] = a[at] * a[at];
    yy[i] = b[at] * b[at];
    xy[i] = a[at] * b[at];
  }
  const [mx, my, mxx, myy, mxy] = planes.map(plane => filtered(plane, height, width, window));
  const { correction } = window;
  const c1 = (0.01 * range) ** 2;
  const c2 = (0.03 * range) ** 2;
  let sum = 0;
  for (let i = 0; i < mx.length; i++) {
    const varianceX = correction * (mxx[i] - mx[i] * mx[i]);
    const varianceY = correction * (myy[i] - my[i] * my[i]);
    const covariance = correction * (mxy[i] - mx[i] * my[i]);
    sum +=
      ((2 * mx[i] * my[i] + c1) * (2 * covariance + c2)) /
      ((mx[i] * mx[i] + my[i] * my[i] + c1) * (varianceX + varianceY + c2));
  }
  return sum / mx.length;
}

/** The separable window at every place that it may take. */
function filtered(plane: Float64Array, height: number, width: number, { weights, mirrored }: SsimWindow): Float64Array {
  const reach = mirrored ? (weights.length - 1) / 2 : 0;
  const across = alongRows(plane, height, width, weights, reach);
  const columns = across.length / height;
  const rows = height + 2 * reach - weights.length + 1;
  const out = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++)
    for (let k = 0; k < weights.length; k++) {
      const from = reflected(row + k - reach, height) * columns;
      for (let column = 0; column < columns; column++)
        out[row * columns + column] += weights[k] * across[from + column];
    }
  return out;
}

function alongRows(
  plane: Float64Array,
  height: number,
  width: number,
  weights: Float64Array,
  reach: number,
): Float64Array {
  const columns = width + 2 * reach - weights.length + 1;
  const out = new Float64Array(height * columns);
  const line = new Float64Array(width + 2 * reach);
  for (let row = 0; row < height; row++) {
    for (let i = 0; i < line.length; i++) line[i] = plane[row * width + reflected(i - reach, width)];
    for (let column = 0; column < columns; column++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * line[column + k];
      out[row * columns + column] = sum;
    }
  }
  return out;
}

/** Mirrored at the first and the last pixel, which are not repeated. */
function reflected(index: number, size: number): number {
  if (index < 0) return -index;
  return index < size ? index : 2 * (size - 1) - index;
}
