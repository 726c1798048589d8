export { listRuns, type FoundRun, type ReadStudy } from './list.js';
