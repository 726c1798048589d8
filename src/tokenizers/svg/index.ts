import type { TokenizerFamily } from '../tokenizer.js';
import { svgPresets } from './presets.js';
import { isSvg, openSvg } from './tokenizer.js';

export const svgFamily: TokenizerFamily = {
  name: 'svg',
  recognises: ({ weights }) => isSvg(weights),
  open: openSvg,
  presets: svgPresets,
};
