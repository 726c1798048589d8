export { similarityCurve, type Curve } from './curve.js';
export { fuzzyGraph, type Edges, type NeighbourLists } from './graph.js';
export { pictureQuality, type Quality, type QualityOptions } from './quality.js';
export { affinities, tsne, type TsneOptions } from './tsne.js';
export { umap, type UmapOptions } from './umap.js';
