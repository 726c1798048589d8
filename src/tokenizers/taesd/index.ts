import type { TokenizerFamily } from '../tokenizer.js';
import { taesdPresets } from './presets.js';
import { isTaesd, openTaesd } from './tokenizer.js';

export const taesdFamily: TokenizerFamily = {
  name: 'taesd',
  recognises: isTaesd,
  open: openTaesd,
  presets: taesdPresets,
};
