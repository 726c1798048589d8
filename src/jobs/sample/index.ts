export { sampleRun } from './run.js';
export type { SampleResult } from './sample.js';
export { TRAJECTORY_COLUMNS, trajectoriesOf, trajectorySummary } from './trajectories.js';
