export { features, type Feature } from './features.js';
export { fitLogistic, logisticScores } from './logistic.js';
export { knnScores } from './knn.js';
export { featureMatrix, standardisation, unscaled } from './matrix.js';
export { score } from './scores.js';
export { probeParts, type LabelledLatents, type ProbeParts } from './parts.js';
export { PROBES, type ProbeKind, type ProbeResult, type ProbeSettings, type ProbeTask } from './protocols.js';
