export * from './conv.js';
export { children, prefixed, under, type Params } from './params.js';
