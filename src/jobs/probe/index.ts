export { classRows, confusionRows, probeSources, type ProbeSource } from './probe.js';
export { pixelSource, warnOfOtherPictures } from './pixels.js';
