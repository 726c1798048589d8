export { openLatents, type Latents, type LatentsOptions } from './latents.js';
export type { ChannelStatistics } from './statistics.js';
export { createLatentsWriter, type LatentsWriter } from './writer.js';
export type { LatentsDescription, LatentsWriterOptions } from './writer-options.js';
export { batchRows, openNormalised, splitPictures, type NormalisedLatents } from './normalised.js';
export { areCounted, shown } from './classes.js';
