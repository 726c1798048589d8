export {
  adaptiveWeight,
  discriminatorLoss,
  generatorLoss,
  lecam,
  rampUp,
  started,
  updateLogitMeans,
} from './adversarial.js';
export { augment, brightness, contrast, cutout, saturation, STRONG, translate, WEAK } from './augment.js';
export { judgeBoth, newPatchGan, openDinoCritic, type Critic } from './critic.js';
export { gradientDifference, openPerceptual } from './perceptual.js';
export { alignment, ALIGNMENT_LARGEST, type AlignmentMargins } from './vf.js';
