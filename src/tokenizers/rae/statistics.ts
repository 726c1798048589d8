import { UserError } from '../../base/index.js';
import type { NdArray } from '../../io/index.js';
import { tf, type Tensor, type Tensor3D } from '../../engine/index.js';
import type { Params } from '../../nn/index.js';
import type { Normalisation } from '../normalisation.js';
import { arranged, nestedArray, readStatistics } from '../statistics-file.js';

/** diffusers adds this to the standard deviations. */
const STD_EPS = 1e-5;

/** Buffers of diffusers' AutoencoderRAE. */
export const STATISTICS = { mean: '_latents_mean', std: '_latents_std' } as const;

/**
 * The normalisation of diffusers' AutoencoderRAE, (z − mean) / (std + ε) · scaling_factor, by the buffers in its weights
 * or, where these have none, by its config: one number, one per channel or one per position.
 */
export function raeNormalisation(
  name: string,
  weights: Record<string, NdArray>,
  raw: Record<string, unknown>,
  factor: number,
  latents: readonly [tokens: number, channels: number],
): Normalisation {
  refuseHalf(name, weights);
  const read = (key: string, otherwise: number): ReturnType<typeof arranged> => {
    if (Object.hasOwn(weights, key)) return arranged(`${name}: ${key}`, weights[key], latents);
    const field = `${name}: config field ${key.slice(1)}`;
    return arranged(field, nestedArray(field, raw[key.slice(1)] ?? otherwise), latents);
  };
  const [mean, std] = [read(STATISTICS.mean, 0), read(STATISTICS.std, 1)];
  const per = (['position', 'channel', 'all'] as const).find(one => mean.per === one || std.per === one)!;
  const size = { all: 1, channel: latents[1], position: latents[0] * latents[1] }[per];
  return {
    per,
    shift: repeated(mean.data, size),
    scale: repeated(std.data, size).map(value => factor / (value + STD_EPS)),
    source: Object.hasOwn(weights, STATISTICS.mean)
      ? `${STATISTICS.mean}, ${STATISTICS.std}`
      : 'config latents_mean, latents_std',
  };
}

function refuseHalf(name: string, weights: Record<string, NdArray>): void {
  const [mean, std] = Object.values(STATISTICS);
  if (Object.hasOwn(weights, mean) === Object.hasOwn(weights, std)) return;
  const missing = Object.hasOwn(weights, mean) ? std : mean;
  throw new UserError(
    `${name}: tensor '${missing}' is missing, without which latents are not normalised as they were; is the file complete?`,
  );
}

/** One number or one per channel, as often as there are positions. */
const repeated = (data: Float64Array, size: number): Float64Array =>
  Float64Array.from({ length: size }, (_, i) => data[i % data.length]);

/** The authors add this to the variances, and diffusers' converter takes the roots with it. */
const VARIANCE_EPS = 1e-5;

/** Images among the statistics so far, of a training run that measures them. */
const SEEN = 'latents_seen';

/** Statistics of no images yet, for maps of `side` × `side` tokens. */
export const emptyStatistics = (channels: number, side: number): Params => ({
  [STATISTICS.mean]: tf.zeros([channels, side, side]),
  [STATISTICS.std]: tf.ones([channels, side, side]),
  [SEEN]: tf.scalar(0),
});

/** Statistics in a file, as buffers. @throws UserError where they are of other latents. */
export async function givenStatistics(path: string, channels: number, side: number): Promise<Params> {
  const { per, shift, scale } = await readStatistics(path, [side * side, channels]);
  const shape = { all: [1], channel: [channels, 1, 1], position: [channels, side, side] }[per];
  const buffer = (numbers: ArrayLike<number>): Tensor => {
    const rows = tf.tensor2d(Float32Array.from(numbers), [numbers.length / shape[0], shape[0]]);
    return tf.transpose(rows).reshape(shape);
  };
  return tf.tidy(() => ({
    [STATISTICS.mean]: buffer(shift),
    [STATISTICS.std]: buffer(scale.map(value => 1 / value - STD_EPS)),
  }));
}

/**
 * The statistics with those of further tokens [n, t, c] (Chan et al. 1983): mean and variance of every position over all
 * images so far; {} where they were given.
 */
export function movedStatistics(params: Params, tokens: Tensor3D): Params {
  if (!(SEEN in params)) return {};
  const { shape } = params[STATISTICS.mean];
  const asMap = (x: Tensor): Tensor => tf.transpose(x, [1, 0]).reshape(shape);
  const { mean, variance } = tf.moments(tokens, 0);
  return joined(params, { mean: asMap(mean), variance: asMap(variance), count: tf.scalar(tokens.shape[0]) });
}

interface Moments {
  mean: Tensor;
  variance: Tensor;
  count: Tensor;
}

/** Statistics of the images so far and of others together (Chan et al. 1983). */
function joined(params: Params, added: Moments): Params {
  const { mean, variance: former, count: seen } = momentsOf(params);
  const total = seen.add<Tensor>(added.count);
  const share = added.count.div<Tensor>(total);
  const rest = tf.sub(1, share);
  const apart = added.mean.sub(mean);
  const variance = former.mul(rest).add(added.variance.mul(share)).add(apart.square().mul(share).mul(rest));
  return {
    [STATISTICS.mean]: mean.add(apart.mul(share)),
    [STATISTICS.std]: variance.add(VARIANCE_EPS).sqrt(),
    [SEEN]: total,
  };
}

const momentsOf = ({ [STATISTICS.mean]: mean, [STATISTICS.std]: std, [SEEN]: count }: Params): Moments => ({
  mean,
  variance: std.square().sub(VARIANCE_EPS),
  count,
});

/**
 * Statistics in training where several processes see different images, each beginning with those from before: counts,
 * and sums of deviations and of squared deviations from the former mean, add up.
 */
export const STATISTICS_RULE = {
  change: (before: Params, after: Params): Params =>
    tf.tidy(() => {
      const [former, now] = [momentsOf(before), momentsOf(after)];
      const moved = now.mean.sub(former.mean);
      const squares = now.variance.add(moved.square()).mul(now.count).sub(former.variance.mul(former.count));
      return { count: now.count.sub(former.count), sums: moved.mul(now.count), squares };
    }),
  moved: (before: Params, { count, sums, squares }: Params): Params =>
    tf.tidy(() => {
      const apart = sums.div<Tensor>(count);
      const mean = before[STATISTICS.mean].add<Tensor>(apart);
      return joined(before, { mean, variance: squares.div<Tensor>(count).sub(apart.square()), count });
    }),
};
