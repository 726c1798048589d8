export { cancelLine, isOver, jobStates, slurmVersion, submit, type JobState } from './queue.js';
export { batchScript, type BatchJob, type BatchTask, type Resources } from './script.js';
export { endOf, logOf, type TaskEnd } from './ended.js';
