export { extentOf, type Extent } from './area.js';
export { trainDenoiser, type DenoiserOptions, type DenoiserResult } from './denoiser.js';
export { drawRows, plantedMixture, type Planted } from './planted.js';
export { leastSquaresSlopes, type Slope } from './slopes.js';
export { bestVelocity } from './velocity.js';
