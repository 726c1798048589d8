import type { TokenizerFamily } from '../tokenizer.js';
import { dmVaePresets } from './presets.js';
import { openDmVae } from './tokenizer.js';

export const dmVaeFamily: TokenizerFamily = {
  name: 'dm-vae',
  recognises: ({ weights }) => Object.hasOwn(weights, 'bottle_neck.mlp.0.weight'),
  open: openDmVae,
  presets: dmVaePresets,
};
