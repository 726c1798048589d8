import { StructuredError, UserError } from '../base/index.js';
import type { FitFault } from '../gmm/index.js';
import type { RowsFault } from '../pca/index.js';

type Fault = FitFault | RowsFault;
type Wording<F extends Fault> = (fault: F, message: string) => string;

/** What the analyses refuse, worded with the options that help. */
const WORDINGS: { [K in Fault['kind']]: Wording<Extract<Fault, { kind: K }>> } = {
  memory: ({ limit, components, covariance, dims, needed, allowed }, message) =>
    limit === 'addressable'
      ? `${message}; give fewer --components or --dims, or --covariance diag`
      : `${components} ${covariance} components in ${dims} dimensions need ${megabytes(needed)} of memory, more than --memory ${megabytes(allowed)}; raise it, or give fewer --components or --dims`,
  collapsed: (_, message) => `${message}; give fewer components or a larger --reg-covar`,
  covariance: (_, message) => `${message}; give one of them, or --algorithm em`,
  'too-many-axes': ({ name, rows, width, asked, most }) =>
    `${name}: --dims ${asked} is more than its ${rows} rows of ${width} numbers allow (${most})`,
  'too-wide': (_, message) => `${message}; give --no-pca`,
  'not-finite': (_, message) => `${message}; fix them or give --drop-nonfinite`,
};

const megabytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MB`;

/** An error as the user should see it: one of a room that knows no options names those that help. */
export function withHint(error: unknown): unknown {
  if (!(error instanceof StructuredError)) return error;
  const fault = error.fault as Fault;
  const wording = WORDINGS[fault.kind] as Wording<Fault>;
  return new UserError(wording(fault, error.message), error.exitCode, { cause: error });
}
