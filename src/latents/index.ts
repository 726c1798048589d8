export { openLatents, type Latents, type LatentsOptions } from './latents.js';
export type { Layout } from './layout.js';
export type { ChannelStatistics } from './statistics.js';
export {
  createLatentsWriter,
  type LatentsBatch,
  type LatentsDescription,
  type LatentsWriter,
  type LatentsWriterOptions,
} from './writer.js';
