/* The words of this room, which types, options and columns are made of. Nothing here needs an engine. */

export const COVARIANCE_TYPES = ['full', 'tied', 'diag', 'spherical'] as const;
/** What a component's covariance may be: any matrix, one matrix for all components, a diagonal, or a multiple of I. */
export type CovarianceType = (typeof COVARIANCE_TYPES)[number];

export const STARTS = ['kmeans', 'k-means++', 'random'] as const;
/** k-means from k-means++ centres; the nearest of k-means++ centres; the nearest of randomly drawn rows. */
export type StartMethod = (typeof STARTS)[number];

export const ALGORITHMS = ['em', 'stepwise'] as const;
/** em: expectation–maximisation over all rows; stepwise: batch by batch; adam: as the paper's authors published it. */
export type Algorithm = (typeof ALGORITHMS)[number] | 'adam';

export const NULLS = ['surrogate', 'permutation'] as const;
/** What is fitted: the rows themselves (none), one Gaussian like them (surrogate), or their marginals alone (permutation). */
export type NullControl = 'none' | (typeof NULLS)[number];
