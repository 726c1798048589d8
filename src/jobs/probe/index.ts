export { classRows, confusionRows, probeSources, type ProbeSource } from './probe.js';
export { pixelSource, warnOfOtherImages } from './pixels.js';
