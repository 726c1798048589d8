export { attentiveScores, type AttentiveOptions } from './attentive.js';
export { DINOV2, headScores, MAE, trainHeads, type HeadProtocol, type Heads } from './heads.js';
export { features, type Feature } from './features.js';
export { fitLogistic, logisticScores, type LogisticModel, type LogisticOptions } from './logistic.js';
export { knnScores, type Votes } from './knn.js';
export { featureMatrix, standardisation, unscaled, type FeatureMatrix, type Standardisation } from './matrix.js';
export { score, wilson, type Scored } from './scores.js';
export { probeParts, type LabelledLatents, type ProbeParts } from './parts.js';
export { PROBES, type ProbeKind, type ProbeResult, type ProbeSettings, type ProbeTask } from './protocols.js';
