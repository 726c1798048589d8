export { diffusionSlopes, floorVerdict, meanExcess, synthDiffusion, type SlopeRow } from './diffusion.js';
export { modesVerdict, synthModes } from './modes.js';
