import { spellingOf, withoutPipeline } from './keys.js';
import type { TokenizerFamily } from '../tokenizer.js';
import { ldmPresets } from './presets.js';
import { openLdm } from './tokenizer.js';

export { decoderArchitecture, LDM_NORM, shownDecoder } from './decoder.js';
export { decodeFeatures } from './model.js';
export { decoderShapes, type LdmArchitecture } from './shapes.js';

export const ldmFamily: TokenizerFamily = {
  name: 'ldm',
  recognises: ({ weights }) => spellingOf(Object.keys(withoutPipeline(weights))) !== undefined,
  open: openLdm,
  splits: true,
  presets: ldmPresets,
};
