export { extentOf } from './area.js';
export { trainDenoiser, type DenoiserOptions } from './denoiser.js';
export { drawRows, plantedMixture } from './planted.js';
export { leastSquaresSlopes, type Slope } from './slopes.js';
