export { openTokenizer } from './open.js';
export { FAMILIES } from './registry.js';
export type { EncodeOptions, OpenOptions, Tokenizer, TokenizerFamily, TokenizerSource } from './tokenizer.js';
