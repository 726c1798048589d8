export { normalisationCard, scaled, unscaled } from './normalisation.js';
export { openTokenizer } from './open.js';
export { FAMILIES } from './registry.js';
export type { OpenOptions, Tokenizer } from './tokenizer.js';
