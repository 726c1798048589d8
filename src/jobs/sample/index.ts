export { sampleRun } from './run.js';
