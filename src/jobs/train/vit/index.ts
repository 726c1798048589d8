export { trainableVit } from './train.js';
