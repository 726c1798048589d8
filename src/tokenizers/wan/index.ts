import type { TokenizerFamily } from '../tokenizer.js';
import { spellingOf } from './keys.js';
import { wanPresets } from './presets.js';
import { openWan } from './tokenizer.js';

export const wanFamily: TokenizerFamily = {
  name: 'wan',
  recognises: ({ weights }) => spellingOf(Object.keys(weights)) !== undefined,
  open: openWan,
  splits: true,
  presets: wanPresets,
};
