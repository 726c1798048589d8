export { train, type TrainResult } from './loop.js';
export { measure, type Measurement } from './measure.js';
export { refuseFolder, type RunConfig, type RunRequest } from './run.js';
export { DEFAULT_SETTINGS, type TrainingSettings } from './settings.js';
export type { TrainingSnapshot, EvaluationRows, LossContext, PhaseResult, TrainingTask } from './task.js';
