export { mostSimilar, nearestNeighbours, unitRows, type Neighbours } from './exact.js';
