export { mostSimilar, mostSimilarAmong, nearestNeighbours, unitRows, type Neighbours } from './exact.js';
export { mostSimilarInStream, type Groups } from './stream.js';
