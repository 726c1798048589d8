export { verifyCase } from './verify.js';
