import type { RawImage } from '../io/index.js';

/*
 * Resampling as Pillow's ImagingResample does it for 8-bit images, so that crops equal those of the published data
 * pipelines to the last bit: separable, coefficients in 22-bit fixed point, the horizontal pass rounded to 8 bits
 * before the vertical one.
 */

export type Filter = 'box' | 'bicubic';

/** A rectangle of the resized image. */
export interface Window {
  left: number;
  top: number;
  width: number;
  height: number;
}

const PRECISION = 22;
const HALF = 1 << (PRECISION - 1);

const KERNELS: Record<Filter, { support: number; weight: (x: number) => number }> = {
  box: { support: 0.5, weight: x => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bicubic: { support: 2, weight: keys },
};

/** Keys' cubic convolution kernel with a = −1/2. */
function keys(x: number): number {
  const a = -0.5;
  const d = Math.abs(x);
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  if (d < 2) return (((d - 5) * d + 8) * d - 4) * a;
  return 0;
}

/** Weights of one axis: output i takes inputs start + first[i] … + counts[i] − 1, weights at i · taps. */
interface Axis {
  /** The first input that any output needs, and one past the last. */
  start: number;
  end: number;
  first: Int32Array;
  counts: Int32Array;
  taps: number;
  weights: Int32Array;
}

/** Outputs `from` … `from + count − 1` of an axis resized from `size` to `target`. */
function axisWeights(filter: Filter, size: number, target: number, from: number, count: number): Axis {
  const { support: radius, weight } = KERNELS[filter];
  const scale = size / target;
  const stretch = Math.max(1, scale);
  const support = radius * stretch;
  const taps = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(count);
  const counts = new Int32Array(count);
  const weights = new Int32Array(count * taps);
  const exact = new Float64Array(taps);
  for (let i = 0; i < count; i++) {
    const centre = (from + i + 0.5) * scale;
    first[i] = Math.max(0, Math.trunc(centre - support + 0.5));
    counts[i] = Math.min(size, Math.trunc(centre + support + 0.5)) - first[i];
    let sum = 0;
    for (let k = 0; k < counts[i]; k++) sum += exact[k] = weight((first[i] + k - centre + 0.5) * (1 / stretch));
    for (let k = 0; k < counts[i]; k++) {
      const fixed = (sum === 0 ? exact[k] : exact[k] / sum) * (1 << PRECISION);
      weights[i * taps + k] = Math.trunc(fixed < 0 ? fixed - 0.5 : fixed + 0.5);
    }
  }
  const start = first[0];
  const end = first[count - 1] + counts[count - 1];
  return { start, end, first: first.map(index => index - start), counts, taps, weights };
}

const clipped = (sum: number): number => {
  const value = sum >> PRECISION;
  return value < 0 ? 0 : value > 255 ? 255 : value;
};

/**
 * `image` resized to width × height, of which only `window` is computed (default: all). Equal to `Image.resize` and a
 * crop in Pillow 13; earlier versions always ran the horizontal pass first, which differs by rounding in tall images.
 */
export function resize(
  image: RawImage,
  width: number,
  height: number,
  filter: Filter,
  { left, top, ...size }: Window = { left: 0, top: 0, width, height },
): RawImage {
  const columns = width === image.width ? undefined : axisWeights(filter, image.width, width, left, size.width);
  const rows = height === image.height ? undefined : axisWeights(filter, image.height, height, top, size.height);
  const [x0, x1] = columns ? [columns.start, columns.end] : [left, left + size.width];
  const [y0, y1] = rows ? [rows.start, rows.end] : [top, top + size.height];
  const needed = cropped(image, { left: x0, top: y0, width: x1 - x0, height: y1 - y0 });
  return verticalFirst(image, width, height)
    ? horizontal(vertical(needed, rows), columns)
    : vertical(horizontal(needed, columns), rows);
}

/** Pillow's choice of the cheaper order. */
function verticalFirst(image: RawImage, width: number, height: number): boolean {
  const shrinks = image.height - height;
  return shrinks > 0 && shrinks > 2 * (image.width - width);
}

function horizontal(image: RawImage, axis: Axis | undefined): RawImage {
  if (!axis) return image;
  const { width, height, data } = image;
  const { first, counts, taps, weights } = axis;
  const target = first.length;
  const out = new Uint8Array(target * height * 3);
  let to = 0;
  for (let y = 0; y < height; y++) {
    const row = y * width * 3;
    for (let x = 0; x < target; x++) {
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      let from = row + first[x] * 3;
      const end = x * taps + counts[x];
      for (let k = x * taps; k < end; k++, from += 3) {
        const weight = weights[k];
        red += Math.imul(data[from], weight);
        green += Math.imul(data[from + 1], weight);
        blue += Math.imul(data[from + 2], weight);
      }
      out[to++] = clipped(red);
      out[to++] = clipped(green);
      out[to++] = clipped(blue);
    }
  }
  return { width: target, height, data: out };
}

/** Row by row, so that memory is read in order. */
function vertical(image: RawImage, axis: Axis | undefined): RawImage {
  if (!axis) return image;
  const { width, data } = image;
  const { first, counts, taps, weights } = axis;
  const height = first.length;
  const length = width * 3;
  const out = new Uint8Array(length * height);
  const sums = new Int32Array(length);
  for (let y = 0; y < height; y++) {
    sums.fill(HALF);
    for (let k = 0; k < counts[y]; k++) {
      const weight = weights[y * taps + k];
      const row = (first[y] + k) * length;
      for (let i = 0; i < length; i++) sums[i] += Math.imul(data[row + i], weight);
    }
    const to = y * length;
    for (let i = 0; i < length; i++) out[to + i] = clipped(sums[i]);
  }
  return { width, height, data: out };
}

/** A part of an image. */
function cropped(image: RawImage, { left, top, width, height }: Window): RawImage {
  if (width === image.width && height === image.height) return image;
  const out = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * image.width + left) * 3;
    out.set(image.data.subarray(from, from + width * 3), y * width * 3);
  }
  return { width, height, data: out };
}

/** Both sides halved with the box filter, as long as the shorter one stays at least `side`. */
export function halvedTo(image: RawImage, side: number): RawImage {
  let halved = image;
  while (Math.min(halved.width, halved.height) >= 2 * side) {
    const [width, height] = [Math.floor(halved.width / 2), Math.floor(halved.height / 2)];
    const exact = halved.width % 2 === 0 && halved.height % 2 === 0 && !verticalFirst(halved, width, height);
    halved = exact ? quartered(halved) : resize(halved, width, height, 'box');
  }
  return halved;
}

/** The box filter at exactly one half: a rounded mean along each row, then down each column. */
function quartered({ width, height, data }: RawImage): RawImage {
  const [w, h] = [width / 2, height / 2];
  const out = new Uint8Array(w * h * 3);
  const stride = width * 3;
  let to = 0;
  for (let y = 0; y < h; y++) {
    let from = 2 * y * stride;
    for (let x = 0; x < w; x++, from += 6) {
      for (let c = from; c < from + 3; c++) {
        const upper = (data[c] + data[c + 3] + 1) >> 1;
        const lower = (data[c + stride] + data[c + stride + 3] + 1) >> 1;
        out[to++] = (upper + lower + 1) >> 1;
      }
    }
  }
  return { width: w, height: h, data: out };
}
