import type { TokenizerFamily } from '../tokenizer.js';
import { dcAePresets } from './presets.js';
import { openDcAe } from './tokenizer.js';

export const dcAeFamily: TokenizerFamily = {
  name: 'dc-ae',
  recognises: ({ weights }) =>
    Object.keys(weights).some(key =>
      /^encoder\.(down_blocks\.\d+\.\d+\.(conv1|attn\.to_q)|stages\.\d+\.op_list\.\d+\.)/.test(key),
    ),
  open: openDcAe,
  splits: true,
  presets: dcAePresets,
};
