export { arrayRows, npyRows, lazyRows, rowsPerChunk } from './sources.js';
export { selectedRows, splitRows, type RowSplit } from './split.js';
export type { RowSource, ChunkOptions, RowChunk } from './source.js';
export { cachedRows, type CachedRows } from './cache.js';
export { randomWindows, type Windows } from './windows.js';
export { randomRows, sampleOf } from './sample.js';
export { rowsInMemory } from './in-memory.js';
export { inBatches } from './batches.js';
export { distinctRows } from './distinct.js';
