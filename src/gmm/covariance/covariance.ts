import type { Routine, SimdModule } from '../../simd/index.js';
import type { CovarianceMemory, MemoryLayout, Pass, Products } from '../kernels/index.js';
import type { Mixture, WorkingMixture } from '../mixture.js';
import type { CovarianceType } from '../names.js';
import type { Workspace } from '../workspace.js';

/** The operations and numbers that differ between covariance types. */
export interface Covariance {
  /** Whether one covariance belongs to all components. */
  readonly shared: boolean;
  /** Of a mixture's `covariances`. */
  shape(components: number, dims: number): number[];
  /** Free parameters, as scikit-learn counts them. */
  parameters(components: number, dims: number): number;
  /** Whether numbers of the right shape may be such covariances: a file may not say which type it holds. */
  accepts(covariances: Float64Array, dims: number): boolean;

  /** One component's covariance, [dims, dims]. */
  matrix(mixture: Mixture, k: number): Float64Array;
  /** Its diagonal, [dims]. */
  variances(mixture: Mixture, k: number): Float64Array;
  /** scikit-learn's `precisions_cholesky_`: U with precision = U Uᵀ, of the covariances' shape. */
  precisionFactors(mixture: Mixture): Float64Array;
  /** The covariances of rows whose coordinates are each multiplied by a factor, [dims]. */
  scaled(mixture: Mixture, factor: Float64Array): Pick<Mixture, 'covarianceType' | 'covariances'>;
  /** The type of a linear image of such a mixture. */
  readonly image: CovarianceType;

  /** Numbers in the threads' memory; `width` is dims padded to a multiple of eight. */
  memory: (components: number, width: number) => CovarianceMemory;
  /** Adds the routines of the E-step and the M-step to a module. */
  addKernels(kernels: Kernels): void;
  /** Passes of an E-step. */
  readonly expectation: readonly Pass[];
  /** Multiply-and-adds for one row and one component. */
  operations(dims: number): number;

  /** Statistics of all rows that updates need, gathered once before a fit. */
  total?(ws: Workspace): Promise<TotalScatter>;
  /** The last pass's sums → covariances and factors. */
  update(ws: Workspace, model: WorkingMixture, options: UpdateOptions): Promise<void>;
  /** Given covariances → factors. */
  install(ws: Workspace, model: WorkingMixture, covariances: Float64Array): Promise<void>;
  /** The current variance of component k along dimension j. */
  varianceOf(ws: Workspace, model: WorkingMixture): (k: number, j: number) => number;
  /** The current covariances. */
  read(ws: Workspace, model: WorkingMixture): Float64Array;
  /** Absent where stepwise EM has no rule. */
  readonly stepwise?: StepwiseRule;
}

/** Parts from which kernels are built. */
export interface Kernels {
  m: SimdModule;
  layout: MemoryLayout;
  /** Squared distances under independent dimensions, which k-means needs too. */
  diagonal: Routine;
  /** Native routines, where there are any. */
  products: Products | undefined;
}

/** Σ (x − mean)(x − mean)ᵀ over all rows, [dims, dims]. */
export interface TotalScatter {
  scatter: Float64Array;
  mean: Float64Array;
  rows: number;
}

export interface UpdateOptions {
  /** Added to every variance. */
  regularisation: number;
  /** Whether the bounds on distances stay valid; otherwise the next E-step computes every distance. */
  bounded: boolean;
  total?: TotalScatter | undefined;
}

export interface StepwiseRule {
  /** Rows per component without which an early step leaves a covariance flat. */
  leastRows(dims: number): number;
  /** Moves component k's covariance, in place, towards that of a batch whose sums are in the workspace. */
  blend(ws: Workspace, k: number, covariance: Float64Array, batch: Batch): void;
}

export interface Batch {
  count: number;
  /** The batch's part of the blend. */
  share: number;
  /** Its mean less what its sums are centred at, and less the former mean; [dims]. */
  shift: Float64Array;
  offset: Float64Array;
  regularisation: number;
}
