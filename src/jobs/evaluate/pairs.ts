import { tf, type Tensor4D } from '../../engine/index.js';
import { lpips, type Lpips } from '../../features/index.js';
import { PAIR_METRICS, type Score } from '../../metrics/index.js';
import { NORMAL_95 } from '../../statistics/index.js';

/** Images and their reconstructions, [n, h, w, 3] in [−1, 1]; reconstructions may leave that range. */
export interface Pairs {
  truth: Float32Array;
  reconstruction: Float32Array;
  shape: [n: number, height: number, width: number, channels: 3];
}

/** How far reconstructions are from their originals: a number per image from each metric, in the order of the table. */
type PairDistances = ArrayLike<number>[];

/** The same of many pairs. */
export interface PairScores {
  add(distances: PairDistances): void;
  /** Means over the images with their 95% intervals. */
  scores(): Score[];
}

const LPIPS = { name: 'lpips', variant: 'vgg16 v0.1, clamped to [-1, 1]' };

/** PSNR and SSIM in every published variant and, where its weights are given, LPIPS. */
export async function pairDistances(perceptual: Lpips | undefined, pairs: Pairs): Promise<PairDistances> {
  const { truth, reconstruction, shape } = pairs;
  const [n, height, width] = shape;
  const length = height * width * 3;
  const part = (all: Float32Array, i: number): Float32Array => all.subarray(i * length, (i + 1) * length);
  const pair = (_: unknown, i: number) => ({
    height,
    width,
    truth: part(truth, i),
    reconstruction: part(reconstruction, i),
  });
  const all = Array.from({ length: n }, pair);
  return [
    ...PAIR_METRICS.map(metric => Float64Array.from(all, one => metric.of(one))),
    ...(perceptual ? [await perceptualDistances(perceptual, pairs)] : []),
  ];
}

/** Gathers what `pairDistances` gives. */
export function pairScores(perceptual: Lpips | undefined): PairScores {
  const metrics = [...PAIR_METRICS, ...(perceptual ? [LPIPS] : [])];
  const values = metrics.map((): number[] => []);
  return {
    add: distances => distances.forEach((own, at) => values[at].push(...Array.from(own))),
    scores: () => metrics.map(({ name, variant }, at) => ({ metric: name, variant, ...meanOf(values[at]) })),
  };
}

async function perceptualDistances({ params }: Lpips, { truth, reconstruction, shape }: Pairs): Promise<Float32Array> {
  const distances = tf.tidy(() => {
    const image = (data: Float32Array): Tensor4D => tf.clipByValue(tf.tensor4d(data, shape), -1, 1);
    return lpips(params, image(truth), image(reconstruction));
  });
  try {
    return (await distances.data()) as Float32Array;
  } finally {
    distances.dispose();
  }
}

function meanOf(values: readonly number[]): Pick<Score, 'value' | 'low' | 'high' | 'std'> {
  const value = values.reduce((sum, x) => sum + x, 0) / values.length;
  // Equal images have an infinite PSNR, for which there is no deviation.
  if (!Number.isFinite(value) || values.length < 2) return { value };
  const std = Math.sqrt(values.reduce((sum, x) => sum + (x - value) ** 2, 0) / (values.length - 1));
  const reach = (NORMAL_95 * std) / Math.sqrt(values.length);
  return { value, low: value - reach, high: value + reach, std };
}
