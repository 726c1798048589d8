import { DIFFUSION_SYSTEMS } from './diffusion/index.js';
import { featureSystems } from './features.js';
import { metricSystems } from './metrics.js';
import type { VerifiedSystem } from './case.js';
import { tokenizerSystems } from './tokenizers/index.js';
import { latentMeasuresSystem } from './latent-measures.js';
import { latentsSystem } from './latents.js';
import { lossSystem } from './losses.js';
import { visionSystem } from './vision.js';

/** Every system that recorded cases can be checked against; the first that recognises a case's config takes it. */
export const verifiedSystems: VerifiedSystem[] = [
  ...tokenizerSystems,
  ...featureSystems,
  ...metricSystems,
  ...DIFFUSION_SYSTEMS,
  latentsSystem,
  latentMeasuresSystem,
  lossSystem,
  visionSystem,
];
