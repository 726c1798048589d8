export { movingBuffers } from './buffers.js';
export { train, type TrainResult } from './loop.js';
export { measure, type Measurement } from './measure.js';
export { portionOf, type Portion } from './portion.js';
export { refuseFolder, type RunConfig, type RunRequest } from './run.js';
export { DEFAULT_SETTINGS, type TrainingSettings } from './settings.js';
export type { EvaluationRows, LossContext, PhaseResult, TrainingSnapshot, TrainingTask } from './task.js';
