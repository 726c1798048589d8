export { trainableDiffusion } from './train.js';
