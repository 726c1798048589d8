import { Arena } from '../../simd/index.js';
import type { CovarianceType } from '../names.js';

/** Rows worked on together: their distances to all components, 4 bytes each, stay in a core's cache. */
export const TILE = 1024;
/** Rows whose outer products are summed in single precision before they join the double-precision sums. */
export const PANEL = 128;
/** Rows whose distances are computed together, at most: native ones; WebAssembly's are four. */
const CENTRED = 8;

/** Tiles of the longest segment, and segments that there are at least where there are as many tiles. */
const LONGEST_SEGMENT = 16;
const SEGMENTS = 48;

/**
 * Rows of a segment. At its end the panels of a component are closed, whatever memory or rank holds the next one: which
 * rows a panel holds depends on the number of all rows alone. Short enough for ranks to get about equal shares.
 */
export function segmentRows(rows: number): number {
  const most = Math.min(LONGEST_SEGMENT, Math.max(1, rows / TILE / SEGMENTS));
  return TILE * 2 ** Math.floor(Math.log2(most));
}

export interface WorkspaceShape {
  dims: number;
  /** The most components that a fit in this memory will have. */
  components: number;
  covariance: CovarianceType;
  /** Rows of the whole source, and those of them that this rank works on. */
  totalRows: number;
  rows: number;
  /** Rows that the memory holds at a time: all of them, or one block of several tiles. */
  residentRows: number;
  /** Whether every row's distances to all components live from one iteration to the next. */
  keepDistances: boolean;
  /** Whether the former covariances are there to bound how far distances can have fallen. */
  keepCovariances: boolean;
  threads: number;
}

/** How many numbers a covariance type keeps in the threads' memory. */
export interface CovarianceMemory {
  /** f32: one factor of a precision, and all of them. */
  factor: number;
  factors: number;
  /** f64: the sums that covariances are made of, and the covariances of the former iteration. */
  scatter: number;
  previous: number;
  /** f32: the directions in which covariances grew most. */
  directions: number;
  /** f32 per row, for types that whiten the rows before the E-step. */
  whitened: number;
  /** In each thread's scratch: f64 of a matrix, f32 of a panel of rows. */
  matrix: number;
  panel: number;
  /** What the M-step sums beside Σ r and Σ r (x − mean). */
  moments: Moments;
}

/** Sums of second order: outer products, squares or nothing. */
export type Moments = 'outer' | 'squares' | 'none';

/** Consecutive numbers of one kind in the threads' memory. */
interface Region<V> {
  bytes: number;
  view(buffer: ArrayBufferLike, address: number): V;
}

const f32 = (length: number): Region<Float32Array> => ({
  bytes: 4 * length,
  view: (buffer, address) => new Float32Array(buffer, address, length),
});
const f64 = (length: number): Region<Float64Array> => ({
  bytes: 8 * length,
  view: (buffer, address) => new Float64Array(buffer, address, length),
});
const i32 = (length: number): Region<Int32Array> => ({
  bytes: 4 * length,
  view: (buffer, address) => new Int32Array(buffer, address, length),
});

/** The regions of the threads' memory, in order. `width` is dims padded with zeros to a multiple of eight numbers. */
function regionsOf(shape: WorkspaceShape, width: number, memory: CovarianceMemory, scratchBytes: number) {
  const { components: k, rows, residentRows, keepDistances, keepCovariances, threads } = shape;
  const tiles = Math.ceil(rows / TILE);
  const residentTiles = Math.ceil(residentRows / TILE);
  return {
    /** [residentRows, width] */
    data: f32(residentTiles * TILE * width),
    /** [residentRows, width]: the rows after whitening by the tied covariance. */
    whitened: f32(residentTiles * TILE * memory.whitened),
    /** [tile][component][TILE]: squared Mahalanobis distances, or lower bounds of them. */
    distances: f32((keepDistances ? tiles : residentTiles) * k * TILE),
    /** [rows]: each row's likeliest component. */
    best: i32(tiles * TILE),
    /** [rows]: log(weight · density) of the likeliest component; infinite for padding. */
    bestLog: f32(tiles * TILE),
    /** [rows]: log density of the mixture; infinite for padding. */
    logDensity: f32(tiles * TILE),
    /** [tiles]: sums of logDensity over the tile's rows. */
    tileSums: f64(tiles),
    /** [components, width] */
    means: f32(k * width),
    /** [components]: log weight − ½ (dims · log 2π + log det). */
    constants: f32(k),
    /** [components]: a distance is at least `decay` · its former value − `drift`. */
    decay: f32(k),
    drift: f32(k),
    /** Matrices: triangular factors U with precision = U Uᵀ, packed by columns of eight. Variances: 1/σ, [components, width]. */
    factors: f32(memory.factors),
    /** [components, width]: k-means has centres of its own. */
    centres: f32(k * width),
    /** [width]: the factor of the identity. */
    ones: f32(width),
    /** [components]: Σ r */
    counts: f64(k),
    /** [components, width]: Σ r (x − mean) */
    sums: f64(k * width),
    /** Matrices: Σ r (x − mean)(x − mean)ᵀ and then the covariance, [width, width] each. Variances: Σ r (x − mean)², [components, width]. */
    scatter: f64(memory.scatter),
    previous: f64(keepCovariances ? memory.previous : 0),
    /** [components, width] and [components]: what sums of second and first order are rounded by; see `roundedSums`. */
    spread: f64(k * width),
    reach: f64(k),
    /** [components, width]: how far the means move. */
    shift: f64(k * width),
    /** [components] */
    inverseCounts: f64(k),
    logDeterminants: f64(k),
    directions: f32(memory.directions),
    /** [components]: 1 where the covariance is positive definite. */
    definite: i32(k),
    /** The next piece of work, for whichever thread comes first; a cache line of its own. */
    next: i32(16),
    /** One `Scratch` for each thread. */
    scratch: i32((threads * scratchBytes) / 4),
  };
}

type Regions = ReturnType<typeof regionsOf>;

/** Addresses in the threads' memory. */
export interface MemoryLayout extends WorkspaceShape, Record<keyof Regions, number> {
  readonly regions: Regions;
  /** Numbers per row: dims padded to a multiple of eight. */
  width: number;
  moments: Moments;
  segmentRows: number;
  rowBytes: number;
  /** Bytes of one component's factor. */
  factorBytes: number;
  /** Where things lie in a thread's scratch. */
  offsets: Scratch;
  scratchBytes: number;
  /** Tiles that a thread has at work together in the E-step, and where things of each lie. */
  batchTiles: number;
  tileOffsets: TileScratch;
  tileScratchBytes: number;
  bytes: number;
  pages: number;
}

/** The regions as arrays: `counts`, `means`, `sums` and the like. */
export type Views = { readonly [N in keyof Regions]: ReturnType<Regions[N]['view']> };

export const viewsOf = (layout: MemoryLayout, buffer: ArrayBufferLike): Views =>
  mapped(layout.regions, (region, name) => region.view(buffer, layout[name])) as Views;

/** Offsets within a thread's scratch. */
export interface Scratch {
  /** f32 [8, width]: centred rows. */
  centred: number;
  /** i32 [TILE + PANEL]: rows to be worked on. */
  list: number;
  /** f32 [TILE + PANEL]: their responsibilities. */
  weights: number;
  /** One `TileScratch` for each tile of a batch. */
  tiles: number;
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

/** Offsets within what a thread keeps of a tile. */
export interface TileScratch {
  /** i32 [TILE]: rows in the order of their components, and each row's component before this pass. */
  order: number;
  former: number;
  /** i32 [components + 1]: how many rows of the tile belong to components before. */
  counts: number;
}

function planTile(components: number): TileScratch & { bytes: number } {
  const arena = new Arena();
  return {
    order: arena.take(TILE * 4),
    former: arena.take(TILE * 4),
    counts: arena.take((components + 1) * 4),
    bytes: arena.bytes,
  };
}

/** Enough for a component's factor to be read much more often than fetched; fewer where threads would have nothing to do. */
const MOST_BATCH_TILES = 8;
const BATCHES_PER_THREAD = 4;

const batchTilesOf = ({ residentRows, threads }: WorkspaceShape): number =>
  Math.max(1, Math.min(MOST_BATCH_TILES, Math.floor(residentRows / TILE / threads / BATCHES_PER_THREAD)));

function planScratch(width: number, memory: CovarianceMemory, tileBytes: number): Scratch & { bytes: number } {
  const arena = new Arena();
  return {
    centred: arena.take(CENTRED * width * 4),
    list: arena.take((TILE + PANEL) * 4),
    weights: arena.take((TILE + PANEL) * 4),
    tiles: arena.take(tileBytes),
    panel: arena.take(memory.panel * 4),
    weighted: arena.take(memory.panel * 4),
    sums: arena.take(width * 4),
    squares: arena.take(width * 4),
    lanes: arena.take(64),
    matrix: arena.take(memory.matrix * 8),
    inverse: arena.take(memory.matrix * 8),
    diagonal: arena.take(width * 8),
    vector: arena.take(width * 8),
    bytes: arena.bytes,
  };
}

/** @param memoryOf memory of the covariance type for a number of components and a padded width. */
export function planLayout(
  shape: WorkspaceShape,
  memoryOf: (components: number, width: number) => CovarianceMemory,
): MemoryLayout {
  const width = Math.ceil(shape.dims / 8) * 8;
  const memory = memoryOf(shape.components, width);
  const batchTiles = batchTilesOf(shape);
  const tileOffsets = planTile(shape.components);
  const offsets = planScratch(width, memory, batchTiles * tileOffsets.bytes);
  const regions = regionsOf(shape, width, memory, offsets.bytes);
  const arena = new Arena();
  const addresses = mapped(regions, ({ bytes }) => arena.take(bytes));
  return {
    ...shape,
    ...addresses,
    regions,
    width,
    moments: memory.moments,
    segmentRows: segmentRows(shape.totalRows),
    rowBytes: width * 4,
    factorBytes: memory.factor * 4,
    offsets,
    scratchBytes: offsets.bytes,
    batchTiles,
    tileOffsets,
    tileScratchBytes: tileOffsets.bytes,
    bytes: arena.bytes,
    pages: arena.pages,
  };
}

/** Applies `f` to every region. */
function mapped<T>(regions: Regions, f: (region: Region<unknown>, name: keyof Regions) => T): Record<keyof Regions, T> {
  const entries = Object.entries(regions) as [keyof Regions, Region<unknown>][];
  return Object.fromEntries(entries.map(([name, region]) => [name, f(region, name)])) as Record<keyof Regions, T>;
}
