import { dcAeFamily } from './dc-ae/index.js';
import { detokFamily } from './detok/index.js';
import { dmVaeFamily } from './dm-vae/index.js';
import { ldmFamily } from './ldm/index.js';
import { raeFamily } from './rae/index.js';
import { svgFamily } from './svg/index.js';
import { taesdFamily } from './taesd/index.js';
import type { TokenizerFamily } from './tokenizer.js';
import { vitFamily } from './vit/index.js';
import { vtpFamily } from './vtp/index.js';
import { wanFamily } from './wan/index.js';
/** Every family of tokenizers, one line each; the first that recognises weights opens them. */
export const FAMILIES: readonly TokenizerFamily[] = [
  vitFamily,
  wanFamily,
  raeFamily,
  ldmFamily,
  dcAeFamily,
  taesdFamily,
  detokFamily,
  vtpFamily,
  dmVaeFamily,
  svgFamily,
];
