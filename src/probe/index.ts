export { features } from './features.js';
export { fitLogistic, logisticScores } from './logistic.js';
export { knnScores } from './knn.js';
export { featureMatrix, standardisation, unscaled } from './matrix.js';
export { score } from './scores.js';
export { probeParts, type LabelledLatents, type ProbeParts } from './parts.js';
export type { Feature, ProbeControl } from './names.js';
export type { ProbeKind } from './protocols/names.js';
export type { ProbeProtocol, ProbeResult, ProbeSettings, ProbeTask } from './protocols/protocol.js';
