import type { Moments } from './layout.js';

/** A routine that runs over blocks of rows. */
export interface Pass {
  readonly name: string;
  /** For one that adds to the components' sums, which the first block sets to zero: what it sums of second order. */
  readonly sums?: Moments | 'own';
}

const pass = (name: string, sums?: Pass['sums']): Pass => ({ name, ...(sums && { sums }) });

export const PASSES = {
  /** Rows → rows whose common covariance is the identity. */
  whiten: pass('whiten'),
  /** E-step: distances, log densities and each row's likeliest component. */
  expect: pass('expect'),
  /** M-step: counts, sums and the covariance type's own second moments, by responsibility. */
  maximise: pass('maximise', 'own'),
  /** Sums as in the M-step, of rows that each belong to one component alone. */
  gather: pass('gather', 'own'),
  /** Second moments of all rows, which belong to the first component. */
  scatter: pass('scatter', 'outer'),
  /** k-means++: distances to one further centre. */
  seed: pass('seed'),
  /** k-means: each row's nearest centre, and the sums of each centre's rows. */
  assign: pass('assign'),
  average: pass('average', 'none'),
} as const;
