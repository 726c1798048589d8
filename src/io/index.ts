export { writeFileAtomic, type AtomicOptions } from './atomic.js';
export type { ChunkOptions, RowChunk, RowSource } from './rows.js';
