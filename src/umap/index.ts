export { similarityCurve } from './curve.js';
export { fuzzyGraph, type Edges } from './graph.js';
export { pictureQuality, type Quality } from './quality.js';
export { affinities, tsne } from './tsne.js';
export { umap } from './umap.js';
