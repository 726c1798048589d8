export { cancelLine, isOver, jobStates, slurmVersion, submit, type JobState } from './queue.js';
export { batchScript, type BatchJob } from './script.js';
export { endOf, logOf, type TaskEnd } from './ended.js';
