export { normalisationCard, scaled, unscaled } from './normalisation.js';
export { openTokenizer } from './open.js';
export { FAMILIES } from './registry.js';
export type { Tokenizer } from './tokenizer.js';
