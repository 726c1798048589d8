import { Arena } from '../../simd/index.js';
import type { CovarianceType } from '../names.js';

/** Rows worked on together: their distances to all components, 4 bytes each, stay in a core's cache. */
export const TILE = 2048;
/** Tiles after which the sums of a component are closed, whatever the memory holds: results do not depend on it. */
export const SEGMENT = 16;
/** Rows whose outer products are summed in single precision before they join the double-precision sums. */
export const PANEL = 128;

export interface Shape {
  dims: number;
  /** The most components that a fit in this memory will have. */
  components: number;
  covariance: CovarianceType;
  /** Rows of the whole source. */
  rows: number;
  /** Rows that the memory holds at a time: all of them, or one block of several tiles. */
  residentRows: number;
  /** Whether every row's distances to all components live from one iteration to the next. */
  keepDistances: boolean;
  /** Whether the former covariances are there to bound how far distances can have fallen. */
  keepCovariances: boolean;
  threads: number;
}

/** Addresses in the threads' memory. Widths are padded with zeros to a multiple of eight numbers. */
export interface Layout extends Shape {
  width: number;
  rowBytes: number;
  /** Bytes of one component's triangular factor, packed by columns of eight. */
  factorBytes: number;
  /** f32 [residentRows, width] */
  data: number;
  /** The rows after whitening by the tied covariance. */
  whitened: number;
  /** f32 [tile][component][TILE]: squared Mahalanobis distances, or lower bounds of them. */
  distances: number;
  /** i32 [rows]: each row's likeliest component. */
  best: number;
  /** f32 [rows]: log(weight · density) of the likeliest component; infinite for padding. */
  bestLog: number;
  /** f32 [rows]: log density of the mixture; infinite for padding. */
  logDensity: number;
  /** f64 [tiles]: sums of logDensity over the tile's rows. */
  tileSums: number;
  /** f32 [components, width] */
  means: number;
  /** f32 [components]: log weight − ½ (dims · log 2π + log det). */
  constants: number;
  /** f32 [components]: a distance is at least `decay` · its former value − `drift`. */
  decay: number;
  drift: number;
  /** full, tied: f32 triangular factors U with precision = U Uᵀ. diag, spherical: f32 [components, width] 1/σ. */
  factors: number;
  /** k-means has centres of its own: f32 [components, width]. */
  centres: number;
  ones: number;
  /** f64 [components]: Σ r */
  counts: number;
  /** f64 [components, width]: Σ r (x − mean) */
  sums: number;
  /** full: f64 [components, width, width], Σ r (x − mean)(x − mean)ᵀ and then the covariance. diag: Σ r (x − mean)². */
  scatter: number;
  /** full, tied: f64 covariances of the former iteration. */
  previous: number;
  /** f64 [components, width]: how far the means move. */
  shift: number;
  /** f64 [components] */
  inverseCounts: number;
  logDeterminants: number;
  /** f32 [components, width]: the directions in which covariances grew most. */
  directions: number;
  /** i32 [components]: 1 where the covariance is positive definite. */
  definite: number;
  /** i32: the next piece of work, for whichever thread comes first. */
  next: number;
  /** One `Scratch` for each thread. */
  scratch: number;
  scratchBytes: number;
  bytes: number;
  pages: number;
}

/** Offsets within a thread's scratch. */
export interface Scratch {
  /** f32 [4, width]: four centred rows. */
  centred: number;
  /** i32 [TILE + PANEL]: rows to be worked on. */
  list: number;
  /** f32 [TILE + PANEL]: their responsibilities. */
  weights: number;
  /** i32 [TILE]: rows in the order of their components, and each row's component before this pass. */
  order: number;
  former: number;
  /** i32 [components + 1] */
  counts: number;
  /** f32 panels of rows, in columns of eight, and of weighted rows, in columns of four. */
  panel: number;
  weighted: number;
  /** f32 [width] */
  sums: number;
  squares: number;
  lanes: number;
  /** f64 [width, width] and [width] */
  matrix: number;
  inverse: number;
  diagonal: number;
  vector: number;
}

const triangular = (kind: CovarianceType): boolean => kind === 'full' || kind === 'tied';
/** Covariance matrices that a kind has. */
export const matrices = (kind: CovarianceType, components: number): number =>
  kind === 'full' ? components : kind === 'tied' ? 1 : 0;

export function scratchOffsets(dims: number, components: number, kind: CovarianceType): Scratch & { bytes: number } {
  const width = padded(dims);
  const arena = new Arena();
  const square = triangular(kind) ? width * width * 8 : 0;
  const panel = triangular(kind) ? PANEL * width * 4 : 0;
  return {
    centred: arena.take(4 * width * 4),
    list: arena.take((TILE + PANEL) * 4),
    weights: arena.take((TILE + PANEL) * 4),
    order: arena.take(TILE * 4),
    former: arena.take(TILE * 4),
    counts: arena.take((components + 1) * 4),
    panel: arena.take(panel),
    weighted: arena.take(panel),
    sums: arena.take(width * 4),
    squares: arena.take(width * 4),
    lanes: arena.take(64),
    matrix: arena.take(square),
    inverse: arena.take(square),
    diagonal: arena.take(width * 8),
    vector: arena.take(width * 8),
    bytes: arena.bytes,
  };
}

const padded = (dims: number): number => Math.ceil(dims / 8) * 8;

export function planLayout(shape: Shape): Layout {
  const { components: k, covariance, rows, residentRows, threads } = shape;
  const width = padded(shape.dims);
  const rowBytes = width * 4;
  const blocks = width / 8;
  const factorBytes = triangular(covariance) ? 128 * blocks * (blocks + 1) : rowBytes;
  const square = width * width * 8;
  const matrixCount = matrices(covariance, k);
  const tiles = Math.ceil(rows / TILE);
  const residentTiles = Math.ceil(residentRows / TILE);
  const scratchBytes = scratchOffsets(shape.dims, k, covariance).bytes;
  const arena = new Arena();
  const vectors = (bytes: number): number => arena.take(k * width * bytes);
  const layout = {
    width,
    rowBytes,
    factorBytes,
    data: arena.take(residentTiles * TILE * rowBytes),
    whitened: arena.take(covariance === 'tied' ? residentTiles * TILE * rowBytes : 0),
    distances: arena.take((shape.keepDistances ? tiles : residentTiles) * k * TILE * 4),
    best: arena.take(tiles * TILE * 4),
    bestLog: arena.take(tiles * TILE * 4),
    logDensity: arena.take(tiles * TILE * 4),
    tileSums: arena.take(tiles * 8),
    means: vectors(4),
    constants: arena.take(k * 4),
    decay: arena.take(k * 4),
    drift: arena.take(k * 4),
    factors: arena.take((covariance === 'tied' ? 1 : k) * factorBytes),
    centres: vectors(4),
    ones: arena.take(rowBytes),
    counts: arena.take(k * 8),
    sums: vectors(8),
    scatter: arena.take(triangular(covariance) ? matrixCount * square : k * width * 8),
    previous: arena.take(shape.keepCovariances ? matrixCount * square : 0),
    shift: vectors(8),
    inverseCounts: arena.take(k * 8),
    logDeterminants: arena.take(k * 8),
    directions: arena.take(triangular(covariance) ? matrixCount * rowBytes : 0),
    definite: arena.take(k * 4),
    next: arena.take(64),
    scratch: arena.take(threads * scratchBytes),
    scratchBytes,
  };
  return { ...shape, ...layout, bytes: arena.bytes, pages: arena.pages };
}
