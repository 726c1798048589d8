import { alone, gatherParts, shareOf, type Communicator } from '../distributed/index.js';
import { rowsPerChunk, type RowSource } from '../rows/index.js';
import type { LatentsLayout } from './layout.js';

/** Mean and unbiased standard deviation of each channel over all images and tokens. */
export interface ChannelStatistics {
  mean: Float64Array;
  std: Float64Array;
}

/** Sums that can be merged: count of tokens, mean, and squared distances from it. */
export interface ChannelMoments {
  tokens: number;
  mean: Float64Array;
  squares: Float64Array;
}

/** Moments of a block of rows [n, tokens, channels], in two passes. */
export function channelMoments(data: Float32Array, { channels }: LatentsLayout): ChannelMoments {
  const tokens = data.length / channels;
  const mean = new Float64Array(channels);
  const squares = new Float64Array(channels);
  for (let at = 0; at < data.length; at += channels) for (let c = 0; c < channels; c++) mean[c] += data[at + c];
  for (let c = 0; c < channels; c++) mean[c] /= Math.max(1, tokens);
  for (let at = 0; at < data.length; at += channels)
    for (let c = 0; c < channels; c++) squares[c] += (data[at + c] - mean[c]) ** 2;
  return { tokens, mean, squares };
}

/** Moments of two blocks together (Chan, Golub and LeVeque 1983). */
export function mergeMoments(a: ChannelMoments, b: ChannelMoments): ChannelMoments {
  const tokens = a.tokens + b.tokens;
  if (a.tokens === 0) return b;
  if (b.tokens === 0) return a;
  const share = b.tokens / tokens;
  return {
    tokens,
    mean: a.mean.map((mean, c) => mean + (b.mean[c] - mean) * share),
    squares: a.squares.map((squares, c) => squares + b.squares[c] + (b.mean[c] - a.mean[c]) ** 2 * a.tokens * share),
  };
}

export interface StatisticsOptions {
  /** One past the last row that counts. */
  end?: number;
  /** Ranks of which each reads a share of the rows; the chunks' moments are merged in the order of the rows. */
  communicator?: Communicator | undefined;
}

/** Statistics of rows [tokens · channels], in one pass. */
export async function measuredStatistics(
  rows: RowSource,
  layout: LatentsLayout,
  { end = rows.rows, communicator = alone }: StatisticsOptions = {},
): Promise<ChannelStatistics> {
  const own: ChannelMoments[] = [];
  for await (const { data } of rows.chunks(shareOf(communicator, end, rowsPerChunk(rows))))
    own.push(channelMoments(data, layout));
  const all = await gatherParts(communicator, own);
  return statisticsOf(all.flat().reduce(mergeMoments, channelMoments(new Float32Array(0), layout)));
}

export function statisticsOf({ tokens, mean, squares }: ChannelMoments): ChannelStatistics {
  return { mean, std: squares.map(sum => Math.sqrt(sum / Math.max(1, tokens - 1))) };
}
