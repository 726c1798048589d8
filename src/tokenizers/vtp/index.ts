import type { TokenizerFamily } from '../tokenizer.js';
import { isVtp } from './config.js';
import { vtpPresets } from './presets.js';
import { openVtp } from './tokenizer.js';

export const vtpFamily: TokenizerFamily = {
  name: 'vtp',
  recognises: ({ weights }) => isVtp(Object.keys(weights)),
  open: openVtp,
  presets: vtpPresets,
};
