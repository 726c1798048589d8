export { embeddingQuality, type Quality } from './quality.js';
export { tsne } from './tsne.js';
export { umap } from './umap.js';
