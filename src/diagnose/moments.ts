/* Statistics of tokens and channels from the first and second moments of flattened latents [tokens · channels]. */

import type { OfRanks } from '../distributed/index.js';
import { hostMatMul } from '../engine/index.js';
import type { RowSource } from '../rows/index.js';

export interface LatentMoments {
  rows: number;
  /** [tokens · channels] */
  mean: Float64Array;
  /** Σ (x − mean)² of every number, [tokens · channels] */
  squares: Float64Array;
}

/** A channel whose standard deviation is below this fraction of the channels' median counts as dead. */
const DEAD = 0.01;

export interface ChannelSummary {
  /** Over all rows and tokens. */
  mean: Float64Array;
  std: Float64Array;
  /** Channels that hardly vary. */
  dead: number;
}

/** Each channel's mean and standard deviation over rows and tokens: what diffusion codes normalise by. */
export function channelSummary({ rows, mean, squares }: LatentMoments, tokens: number): ChannelSummary {
  const width = mean.length;
  const channels = width / tokens;
  const channelMean = new Float64Array(channels);
  for (let i = 0; i < width; i++) channelMean[i % channels] += mean[i] / tokens;
  const variance = new Float64Array(channels);
  for (let i = 0; i < width; i++)
    variance[i % channels] += (squares[i] / rows + (mean[i] - channelMean[i % channels]) ** 2) / tokens;
  const std = variance.map(Math.sqrt);
  const median = std.slice().sort()[Math.floor(channels / 2)];
  return { mean: channelMean, std, dead: std.filter(value => value <= DEAD * median).length };
}

/** Standard deviation of each token's numbers about their means over the rows, root mean square over its channels. */
export function tokenStds({ rows, mean, squares }: LatentMoments, tokens: number): Float64Array {
  const width = mean.length;
  const channels = width / tokens;
  const out = new Float64Array(tokens);
  for (let i = 0; i < width; i++) out[Math.floor(i / channels)] += squares[i] / rows / channels;
  return out.map(Math.sqrt);
}

/**
 * How far tokens repeat one another: correlations of two tokens over rows and channels, [tokens, tokens], from
 * Σ (x − mean)(x − mean)ᵀ [tokens · channels, tokens · channels].
 */
export function tokenCorrelations(scatter: Float64Array, tokens: number): Float64Array {
  const width = Math.sqrt(scatter.length);
  const channels = width / tokens;
  const products = new Float64Array(tokens * tokens);
  for (let s = 0; s < tokens; s++)
    for (let t = 0; t < tokens; t++)
      for (let c = 0; c < channels; c++)
        products[s * tokens + t] += scatter[(s * channels + c) * width + t * channels + c];
  return products.map((value, at) => {
    const [s, t] = [Math.floor(at / tokens), at % tokens];
    const scale = Math.sqrt(products[s * tokens + s] * products[t * tokens + t]);
    return s === t ? 1 : scale > 0 ? value / scale : 0;
  });
}

/** Mean |correlation| of two different tokens, 0 for tokens that have nothing in common, 1 for copies of one. */
export function tokenRedundancy(correlations: Float64Array, tokens: number): number {
  if (tokens === 1) return 0;
  const total = correlations.reduce((sum, value) => sum + Math.abs(value), 0);
  return (total - tokens) / (tokens * (tokens - 1));
}

/** Products of two tokens that are held at once. */
const PRODUCTS = 2 ** 24;

/** Token redundancy where a scatter of all numbers would be too large: a strip of the tokens' products per pass. */
export async function streamedRedundancy(
  source: RowSource,
  { mean, squares }: LatentMoments,
  tokens: number,
  ranks?: OfRanks,
): Promise<number> {
  if (tokens === 1) return 0;
  const channels = source.width / tokens;
  const lengths = new Float64Array(tokens);
  squares.forEach((square, i) => (lengths[Math.floor(i / channels)] += square));
  const step = Math.max(1, Math.floor(PRODUCTS / tokens));
  let total = 0;
  for (let first = 0; first < tokens; first += step) {
    const count = Math.min(step, tokens - first);
    const products = await tokenProducts(source, mean, { tokens, first, count }, ranks);
    products.forEach((value, at) => {
      const [s, t] = [first + Math.floor(at / tokens), at % tokens];
      const scale = Math.sqrt(lengths[s] * lengths[t]);
      if (s !== t && scale > 0) total += Math.abs(value / scale);
    });
  }
  return total / (tokens * (tokens - 1));
}

/** Σ over rows and channels of the products of `count` tokens from `first` on with all tokens, [count, tokens]. */
async function tokenProducts(
  source: RowSource,
  mean: Float64Array,
  { tokens, first, count }: { tokens: number; first: number; count: number },
  ranks?: OfRanks,
): Promise<Float64Array> {
  const { width } = source;
  const channels = width / tokens;
  const out = new Float64Array(count * tokens);
  for await (const { rows, data } of source.chunks(ranks?.share)) {
    // Token by token, so that one product sums over rows and channels.
    const k = rows * channels;
    const all = new Float64Array(tokens * k);
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < width; j++)
        all[Math.floor(j / channels) * k + i * channels + (j % channels)] = data[i * width + j] - mean[j];
    const own = all.subarray(first * k, (first + count) * k);
    const part = hostMatMul(own, all, { m: count, k, n: tokens, transposeB: true });
    for (let at = 0; at < out.length; at++) out[at] += part[at];
  }
  await ranks?.communicator.allReduceSum(out);
  return out;
}
