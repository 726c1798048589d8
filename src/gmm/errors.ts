import { EXIT, StructuredError, UserError } from '../base/index.js';
import type { CovarianceType } from './names.js';

/** Why a fit is impossible, as data: whoever knows the options can say which of them help. */
export type FitFault =
  /** No way of working fits into the memory, whose bytes are allowed or all that can be addressed. */
  | {
      kind: 'memory';
      components: number;
      covariance: CovarianceType;
      dims: number;
      needed: number;
      allowed: number;
      limit: 'allowed' | 'addressable';
    }
  /** A covariance is not positive definite: of one component, or of every one. */
  | { kind: 'collapsed'; components: 'one' | 'all' }
  /** An algorithm that has no rule for this covariance type. */
  | { kind: 'covariance'; covariance: CovarianceType; allowed: CovarianceType[] };

/** A fit that is impossible as it was asked for. */
export class FitError extends StructuredError<FitFault> {}

export const notDefinite = (k: number): UserError =>
  new UserError(`the covariance of component ${k} is not positive definite`, EXIT.failed);
