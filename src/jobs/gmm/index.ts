export { analyzeGmm, type FittedMixture, type GmmSettings } from './analyze.js';
export { reductionFrom, spaceArrays, type GmmSource } from './space.js';
export { planSweep } from './plan.js';
export { openState } from './state.js';
export { pairedDifferences } from './paired.js';
