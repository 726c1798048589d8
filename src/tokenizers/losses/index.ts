export {
  adaptiveWeight,
  discriminatorLoss,
  generatorLoss,
  lecam,
  LOGIT_DECAY,
  rampUp,
  updateLogitMeans,
  type LogitMeans,
} from './adversarial.js';
export { augment, STRONG, WEAK } from './augment.js';
export { judgeReconstruction, type Adversary, type PixelLoss } from './fidelity.js';
export { judgeBoth, newPatchGan, openDinoCritic, type Critic } from './critic.js';
export { openPerceptual } from './perceptual.js';
export { alignment, ALIGNMENT_LARGEST, type AlignmentMargins } from './vf.js';
