import type { TokenizerFamily } from '../tokenizer.js';
import { raePresets } from './presets.js';
import { isRae, openRae } from './tokenizer.js';

export type { RaeConfig } from './config.js';
export { joinedLayers } from './decoder.js';
export { encodeTokens } from './encoder.js';
export { decodeImages } from './images.js';
export { emptyStatistics, givenStatistics, movedStatistics, STATISTICS_RULE } from './statistics.js';
export type { RaeNetwork } from './tokenizer.js';
export {
  DECODER_PRESETS,
  initialDecoder,
  noiseLevels,
  raeLoss,
  type DecoderPreset,
  type RaeBatch,
  type RaeRecipe,
} from './training.js';

export const raeFamily: TokenizerFamily = {
  name: 'rae',
  recognises: isRae,
  open: openRae,
  presets: raePresets,
};
