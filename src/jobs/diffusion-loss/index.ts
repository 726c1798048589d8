export { diffusionLoss } from './loss.js';
export { FROZEN_SEED, frozenSet } from './frozen.js';
export { floorSubtraction } from './floor.js';
export { openFitting } from './open-fitting.js';
