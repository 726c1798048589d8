export { trainableTokenizer } from './train.js';
