import type { TokenizerFamily } from '../tokenizer.js';
import { raePresets } from './presets.js';
import { isRae, openRae } from './tokenizer.js';

export const raeFamily: TokenizerFamily = {
  name: 'rae',
  recognises: isRae,
  open: openRae,
  presets: raePresets,
};
