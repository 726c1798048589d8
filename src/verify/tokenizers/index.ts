import type { VerifiedSystem } from '../case.js';
import { dcAeSystem } from './dc-ae.js';
import { ldmSystems } from './ldm.js';
import { alignmentSystem } from './vf-loss.js';
import { discriminatorSystems } from './discriminators.js';
import { modernVaeSystems } from './modern-vae.js';
import { openedSystem } from './opened.js';
import { raeSystem } from './rae.js';
import { taesdSystem } from './taesd.js';
import { vitSystems } from './vit.js';

/** Systems of this room that recorded cases can be checked against. */
export const tokenizerSystems: VerifiedSystem[] = [
  ...ldmSystems,
  ...vitSystems,
  openedSystem,
  dcAeSystem,
  taesdSystem,
  ...modernVaeSystems,
  raeSystem,
  ...discriminatorSystems,
  alignmentSystem,
];
