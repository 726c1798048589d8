export { sweep, type SweepChoice, type SweepPlan, type SweepRow } from './sweep.js';
export { EVALUATION_COLUMNS, featuresCard, type EvaluationRow } from './rows.js';
export { comparison, openReference } from './sets.js';
export { applicable } from './feature-side.js';
export { parseSweep } from './sweep-settings.js';
export { evaluateSets } from './evaluate.js';
export { distanceRatios } from './fd-ratio.js';
export { metricsFor } from './metric-choice.js';
export { evaluateTokenizer } from './tokenizer.js';
