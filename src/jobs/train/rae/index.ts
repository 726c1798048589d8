export { trainableRaeDecoder } from './train.js';
