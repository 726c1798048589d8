/** Ways to embed rows in the plane, each with the title of its charts. */
export const EMBEDDING_METHODS = {
  umap: 'UMAP',
  tsne: 't-SNE',
  pca: 'First two principal components',
};
export type EmbeddingMethod = keyof typeof EMBEDDING_METHODS;
