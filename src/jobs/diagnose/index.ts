export { diagnoseLatents } from './diagnose.js';
export { openMasks } from './masks.js';
