export { listRuns } from './list.js';
