import type { VerifiedSystem } from '../case.js';
import { verifyAutoguidance } from './autoguidance.js';
import { verifyGft } from './gft.js';
import { verifyIrepaAndEarly } from './irepa-early.js';
import { verifyLightningDit, verifyLightningDitTraces } from './lightningdit.js';
import { verifyRae } from './rae.js';
import { verifyRepa } from './repa.js';
import { verifySit1d } from './sit-1d.js';
import { verifySit2d } from './sit-2d.js';

const isSystem =
  (start: string) =>
  ({ system, parameters }: Record<string, unknown>): boolean =>
    typeof system === 'string' && system.startsWith(start) && parameters !== undefined;

/** The recorded cases of this room's networks, told apart by their config.json. */
export const DIFFUSION_SYSTEMS: VerifiedSystem[] = [
  { name: 'sit-1d', recognises: ({ kind }) => kind === 'sit1d', verify: verifySit1d },
  { name: 'sit-2d', recognises: ({ kind }) => kind === 'sit2d', verify: verifySit2d },
  { name: 'lightningdit', recognises: ({ kind }) => kind === 'lightningdit', verify: verifyLightningDitTraces },
  { name: 'lightningdit', recognises: isSystem('LightningDiT'), verify: verifyLightningDit },
  { name: 'repa', recognises: isSystem('REPA'), verify: verifyRepa },
  { name: 'rae-dit', recognises: isSystem('RAE (DiTDH)'), verify: verifyRae },
  { name: 'irepa', recognises: isSystem('iREPA'), verify: verifyIrepaAndEarly },
  { name: 'gft', recognises: isSystem('Guidance-Free Training'), verify: verifyGft },
  { name: 'autoguidance', recognises: isSystem('Autoguidance'), verify: verifyAutoguidance },
];
