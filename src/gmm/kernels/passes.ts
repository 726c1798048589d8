/** A routine that runs over blocks of rows. */
export interface Pass {
  readonly name: string;
  /** Whether it adds to sums, which the first block sets to zero. */
  readonly accumulates: boolean;
}

const pass = (name: string, { accumulates = false } = {}): Pass => ({ name, accumulates });

export const PASSES = {
  /** Rows → rows whose common covariance is the identity. */
  whiten: pass('whiten'),
  /** E-step: distances, log densities and each row's likeliest component. */
  expect: pass('expect'),
  /** M-step: counts, sums and second moments by responsibility. */
  maximise: pass('maximise', { accumulates: true }),
  /** Sums as in the M-step, of rows that each belong to one component alone. */
  gather: pass('gather', { accumulates: true }),
  /** Second moments of all rows, which belong to the first component. */
  scatter: pass('scatter', { accumulates: true }),
  /** k-means++: distances to one further centre. */
  seed: pass('seed'),
  /** k-means: each row's nearest centre, and the sums of each centre's rows. */
  assign: pass('assign'),
  average: pass('average', { accumulates: true }),
} as const;
