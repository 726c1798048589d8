export { attentiveScores } from './attentive.js';
export { DINOV2, headScores, MAE, trainHeads } from './heads.js';
export { features, type Feature } from './features.js';
export { fitLogistic, logisticScores } from './logistic.js';
export { knnScores } from './knn.js';
export { featureMatrix, standardisation, unscaled, type FeatureMatrix } from './matrix.js';
export { score, wilson } from './scores.js';
export { probeParts, type LabelledLatents, type ProbeParts } from './parts.js';
export { PROBES, type ProbeKind, type ProbeResult, type ProbeSettings, type ProbeTask } from './protocols.js';
