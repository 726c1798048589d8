import type { ChunkOptions, RowChunk, RowSource } from '../rows/index.js';
import type { Feature } from './names.js';

/** Features of latents whose rows are [tokens · channels], token by token. */
export function features(feature: Feature, latents: RowSource, tokens: number): RowSource {
  return feature === 'flattened' ? latents : tokenMeans(latents, tokens);
}

function tokenMeans(latents: RowSource, tokens: number): RowSource {
  const channels = latents.width / tokens;
  return { ...latents, width: channels, chunks: options => meanChunks(latents, tokens, channels, options) };
}

async function* meanChunks(
  latents: RowSource,
  tokens: number,
  channels: number,
  options?: ChunkOptions,
): AsyncIterable<RowChunk> {
  for await (const { start, rows, data } of latents.chunks(options)) {
    const means = new Float32Array(rows * channels);
    for (let row = 0, at = 0; row < rows; row++)
      for (let t = 0; t < tokens; t++)
        for (let c = 0; c < channels; c++, at++) means[row * channels + c] += data[at] / tokens;
    yield { start, rows, data: means };
  }
}
