export { ADDRESSABLE, Arena } from './arena.js';
export { exp, laneSums, rounded, transposed } from './functions.js';
export { result, SimdModule, type Body, type Local, type Routine } from './module.js';
export { startThreads, type Addon } from './pool.js';
export * from './values.js';
