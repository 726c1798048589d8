export { picturesOf, type Picture } from './umap.js';
