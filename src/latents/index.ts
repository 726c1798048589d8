export { openLatents, type Latents, type LatentsOptions } from './latents.js';
export { createLatentsWriter, type LatentsWriter } from './writer.js';
export type { LatentsDescription } from './writer-options.js';
export { batchRows, openNormalised, splitImages, type NormalisedLatents } from './normalised.js';
export { measuredStatistics, type ChannelStatistics } from './statistics.js';
export { areCounted, shown } from './classes.js';
