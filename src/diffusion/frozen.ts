import { tf, type RandomStream, type Tensor } from '../engine/index.js';
import type { NetworkConfig } from './config.js';
import { noisyAt, rowMean, targetAt } from './loss.js';
import { predictAt, velocityFrom, type Objective, type Predictor } from './objective.js';
import { logSnr, PATHS } from './paths.js';

/*
 * The diffusion loss by timestep, measured always on the same latents, the same noise and the same times, so that
 * curves of one run over steps, and of several tokenizers, can be laid over each other.
 */

/** What is measured on: the i-th of `perBin` rows of every bin, and its noise. */
export interface FrozenSet {
  /** Normalised latents [bins · perBin, tokens, channels], bin by bin. */
  latents: Float32Array;
  labels: Int32Array;
  bins: number;
  perBin: number;
  /** Variance over rows of a number of the latents, averaged over them (`meanVariance`). */
  variance: number;
  /** Standard normal noise by (bin, row in it). */
  noise: RandomStream;
}

/** The loss of one bin of times, or of all. */
export interface TimeLoss {
  bin: number | 'all';
  /** Middle of the bin, t = 0 noise. */
  t: number | '';
  log_snr: number | '';
  /** Mean squared error of what the network predicts. */
  loss: number;
  /** Mean squared error of the velocity that it stands for, per number of the latent. */
  loss_per_dim: number;
  /** Variance of the true velocity per number: the loss of the best constant guess. */
  target_variance: number;
  /** loss_per_dim / target_variance: the unexplained share, comparable whatever the latents' scale. */
  loss_normalised: number;
  rows: number;
}

/** Middles of `bins` equal parts of [0, 1]. */
function binTimes(bins: number): Float64Array {
  return Float64Array.from({ length: bins }, (_, bin) => (bin + 0.5) / bins);
}

/** Which of `available` rows each place of a frozen set takes: `bins · perBin` numbers, spread over all rows. */
export function frozenRows(available: number, bins: number, perBin: number): Int32Array {
  return Int32Array.from({ length: bins * perBin }, (_, place) => place % available);
}

/** Squared errors of prediction and velocity, summed over rows, still on the device. */
type BinSums = Record<'loss' | 'velocity', Tensor>;

/** Variance over rows [n, width] of each number, averaged over the numbers. */
export function meanVariance(rows: Float32Array, width: number): number {
  const n = rows.length / width;
  let sum = 0;
  for (let at = 0; at < width; at++) {
    let mean = 0;
    for (let i = at; i < rows.length; i += width) mean += rows[i] / n;
    for (let i = at; i < rows.length; i += width) sum += (rows[i] - mean) ** 2;
  }
  return sum / width / Math.max(1, n - 1);
}

/** The loss of every bin, and of all together. */
export async function lossByTime(model: Predictor, frozen: FrozenSet, batchSize: number): Promise<TimeLoss[]> {
  return lossesOf(
    model.objective,
    frozen,
    await errorsByTime(model, frozen, batchSize, { start: 0, end: frozen.bins }),
  );
}

/**
 * Squared errors of prediction and velocity, summed over the rows of each bin of a stretch, [bins, 2]. Read back once, at the
 * end. `onBin` is told how many bins are computed.
 */
export async function errorsByTime(
  model: Predictor,
  frozen: FrozenSet,
  batchSize: number,
  { start, end }: { start: number; end: number },
  onBin?: (bins: number) => void,
): Promise<Float32Array> {
  const sums = Array.from(binTimes(frozen.bins).subarray(start, end), (t, i) => {
    const parts = binSums(model, frozen, batchSize, start + i, t);
    onBin?.(i + 1);
    return parts;
  });
  const errors = new Float32Array(2 * sums.length);
  for (const [i, parts] of sums.entries()) {
    const packed = tf.tidy(() => tf.stack([parts.loss, parts.velocity]));
    errors.set(await packed.data(), 2 * i);
    tf.dispose([packed, ...Object.values(parts)]);
  }
  return errors;
}

/** Losses by the squared errors of all bins, [bins, 2]. */
export function lossesOf({ path }: Objective, { bins, perBin, variance }: FrozenSet, errors: Float32Array): TimeLoss[] {
  const rows = Array.from(binTimes(bins), (t, bin): TimeLoss => {
    const [loss, velocity] = errors.subarray(2 * bin);
    const point = PATHS[path](t);
    const target = point.dAlpha ** 2 * variance + point.dSigma ** 2;
    return {
      bin,
      t,
      log_snr: logSnr(point),
      loss: loss / perBin,
      loss_per_dim: velocity / perBin,
      target_variance: target,
      loss_normalised: velocity / perBin / target,
      rows: perBin,
    };
  });
  return [...rows, overall(rows)];
}

function binSums(model: Predictor, frozen: FrozenSet, batchSize: number, bin: number, t: number): BinSums {
  const batches: BinSums[] = [];
  for (let start = 0; start < frozen.perBin; start += batchSize) {
    const count = Math.min(batchSize, frozen.perBin - start);
    batches.push(tf.tidy(() => batchSums(model, rowsOf(model.config, frozen, bin, start, count), t)));
  }
  const total = tf.tidy(() => batches.reduce(added));
  if (batches.length > 1) tf.dispose(batches);
  return total;
}

const added = (a: BinSums, b: BinSums): BinSums => ({
  loss: a.loss.add(b.loss),
  velocity: a.velocity.add(b.velocity),
});

interface Rows {
  data: Tensor;
  noise: Tensor;
  labels: Int32Array;
}

function rowsOf(
  { tokens, channels }: NetworkConfig,
  { latents, labels, perBin, noise }: FrozenSet,
  bin: number,
  start: number,
  count: number,
): Rows {
  const size = tokens * channels;
  const first = bin * perBin + start;
  const draws = new Float32Array(count * size);
  for (let i = 0; i < count; i++) draws.set(noise.at(bin, start + i).normals(size), i * size);
  const shape: [number, number, number] = [count, tokens, channels];
  return {
    data: tf.tensor3d(latents.subarray(first * size, (first + count) * size), shape),
    noise: tf.tensor3d(draws, shape),
    labels: labels.subarray(first, first + count),
  };
}

function batchSums(model: Predictor, { data, noise, labels }: Rows, t: number): BinSums {
  const { path, prediction, time } = model.objective;
  const times = Array.from(labels, () => t);
  const x = noisyAt(path, data, noise, times);
  const out = predictAt(model, x, t, labels);
  const velocity = targetAt(path, 'velocity', data, noise, times);
  const own = targetAt(path, prediction, data, noise, times);
  // A network that counts time backwards predicts the velocity backwards.
  const target = prediction === 'velocity' && time === 'data-to-noise' ? own.neg() : own;
  return {
    loss: rowMean(out.sub(target).square()).sum(),
    velocity: rowMean(velocityFrom(model.objective, out, x, t).sub(velocity).square()).sum(),
  };
}

/** All bins together: times uniform over the path. */
function overall(bins: TimeLoss[]): TimeLoss {
  const mean = (value: (row: TimeLoss) => number): number =>
    bins.reduce((sum, row) => sum + value(row), 0) / bins.length;
  const [perDim, variance] = [mean(row => row.loss_per_dim), mean(row => row.target_variance)];
  return {
    bin: 'all',
    t: '',
    log_snr: '',
    loss: mean(row => row.loss),
    loss_per_dim: perDim,
    target_variance: variance,
    loss_normalised: perDim / variance,
    rows: bins.reduce((sum, row) => sum + row.rows, 0),
  };
}
