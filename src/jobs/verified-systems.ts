import { DIFFUSION_SYSTEMS } from '../diffusion/index.js';
import { featureSystems } from '../features/index.js';
import { metricSystems } from '../metrics/index.js';
import type { VerifiedSystem } from '../nn/index.js';
import { tokenizerSystems } from '../tokenizers/index.js';
import { latentsSystem } from './verify-latents.js';
import { lossSystem } from './verify-losses.js';

/** Every system that recorded cases can be checked against; the first that recognises a case's config takes it. */
export const verifiedSystems: VerifiedSystem[] = [
  ...tokenizerSystems,
  ...featureSystems,
  ...metricSystems,
  ...DIFFUSION_SYSTEMS,
  latentsSystem,
  lossSystem,
];
