export { embeddingsOf, type Embedding } from './umap.js';
