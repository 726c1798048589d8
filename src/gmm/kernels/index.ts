export { diagonalDistance, triangularDistance } from './distance.js';
export { addExpectation, addSeeding, NEGLIGIBLE } from './expectation.js';
export { addFactorisation, addWhitening } from './factor.js';
export { PANEL, planLayout, segmentRows, TILE, viewsOf } from './layout.js';
export type { CovarianceMemory, MemoryLayout, Moments, Views, WorkspaceShape } from './layout.js';
export { addMaximisation, addMoments } from './maximisation.js';
export { PASSES, type Pass } from './passes.js';
export { importProducts, productsAddon, type Products } from './products.js';
