/*
 * Statistics of tokens and channels from the first and second moments of flattened latents [tokens · channels], so
 * that no further pass over the data is needed.
 */

export interface LatentMoments {
  rows: number;
  /** [tokens · channels] */
  mean: Float64Array;
  /** Σ (x − mean)(x − mean)ᵀ, [tokens · channels, tokens · channels] */
  scatter: Float64Array;
}

/** A channel whose standard deviation is below this share of the channels' median carries nothing. */
const DEAD = 0.01;

export interface ChannelSummary {
  /** Over all rows and tokens. */
  mean: Float64Array;
  std: Float64Array;
  /** Channels that hardly vary. */
  dead: number;
}

/** Each channel's mean and standard deviation over rows and tokens: what diffusion codes normalise by. */
export function channelSummary({ rows, mean, scatter }: LatentMoments, tokens: number): ChannelSummary {
  const width = mean.length;
  const channels = width / tokens;
  const channelMean = new Float64Array(channels);
  for (let i = 0; i < width; i++) channelMean[i % channels] += mean[i] / tokens;
  const variance = new Float64Array(channels);
  for (let i = 0; i < width; i++)
    variance[i % channels] += (scatter[i * width + i] / rows + (mean[i] - channelMean[i % channels]) ** 2) / tokens;
  const std = variance.map(Math.sqrt);
  const median = std.slice().sort()[Math.floor(channels / 2)];
  return { mean: channelMean, std, dead: std.filter(value => value <= DEAD * median).length };
}

/** Standard deviation of each token's numbers about their means over the rows, root mean square over its channels. */
export function tokenStds({ rows, mean, scatter }: LatentMoments, tokens: number): Float64Array {
  const width = mean.length;
  const channels = width / tokens;
  const out = new Float64Array(tokens);
  for (let i = 0; i < width; i++) out[Math.floor(i / channels)] += scatter[i * width + i] / rows / channels;
  return out.map(Math.sqrt);
}

/** How far tokens repeat one another: correlations of two tokens over rows and channels, [tokens, tokens]. */
export function tokenCorrelations({ mean, scatter }: LatentMoments, tokens: number): Float64Array {
  const width = mean.length;
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
