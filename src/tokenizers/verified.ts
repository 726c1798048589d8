import type { VerifiedSystem } from '../nn/index.js';
import { dcAeSystem } from './dc-ae/verify.js';
import { ldmSystems } from './ldm/verify.js';
import { alignmentSystem } from './ldm/vf-verify.js';
import { discriminatorSystems } from './losses/verify.js';
import { taesdSystem } from './taesd/verify.js';
import { vitSystems } from './vit/verify.js';

/** Systems of this room that recorded cases can be checked against. */
export const tokenizerSystems: VerifiedSystem[] = [
  ...ldmSystems,
  ...vitSystems,
  dcAeSystem,
  taesdSystem,
  ...discriminatorSystems,
  alignmentSystem,
];
