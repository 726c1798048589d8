export { openLatents, type Latents, type LatentsOptions } from './latents.js';
export type { LatentsBatch } from './shard-buffer.js';
export { createLatentsWriter } from './writer.js';
export type { LatentsDescription } from './writer-options.js';
export { batchRows, openNormalised, splitImages, type NormalisedLatents } from './normalised.js';
export { measuredStatistics, type ChannelStatistics } from './statistics.js';
export { areCounted, shown } from './classes.js';
