import type { TokenizerFamily } from '../tokenizer.js';
import { isDetok } from './config.js';
import { detokPresets } from './presets.js';
import { openDetok } from './tokenizer.js';

export const detokFamily: TokenizerFamily = {
  name: 'detok',
  recognises: ({ weights }) => isDetok(Object.keys(weights)),
  open: openDetok,
  splits: true,
  presets: detokPresets,
};
