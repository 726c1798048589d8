export {
  adaptiveWeight,
  discriminatorLoss,
  generatorLoss,
  lecam,
  nonSaturatingLoss,
  rampUp,
  started,
  updateLogitMeans,
  type Adversarial,
  type LogitMeans,
} from './adversarial.js';
export {
  augment,
  brightness,
  contrast,
  cutout,
  saturation,
  STRONG,
  translate,
  WEAK,
  type AugmentOptions,
} from './augment.js';
export { DINO_SMALL, dinoDiscriminator, type DinoConfig } from './dino.js';
export type { Discriminator, Judgement, JudgeOptions } from './discriminator.js';
export { maskBit, patchGan } from './patchgan.js';
export { judgeBoth, newPatchGan, openDinoCritic, type Critic } from './critic.js';
export { gradientDifference, openPerceptual, type Perceptual } from './perceptual.js';
