import { EXIT, UserError, type Log } from '../../base/index.js';
import type { Communicator } from '../../distributed/index.js';
import type { SavedMixture } from '../../gmm/index.js';
import { selectedRows, splitRows, type RowSource } from '../../rows/index.js';
import {
  axesLeftOut,
  columnReduction,
  explainedShare,
  fitPca,
  pcaReduction,
  type Pca,
  type Reduction,
} from '../../pca/index.js';

/** Latents to analyse: rows [tokens · channels]. */
export interface GmmSource {
  name: string;
  rows: RowSource;
  /** Rows held out; absent: a part of `rows`, by seed. */
  heldout?: RowSource | undefined;
}

export interface SpaceSettings {
  pca: boolean;
  standardize: boolean;
  /** common: the most that any source needs; own: what each needs; or a number. */
  dims: 'common' | 'own' | number;
  /** Share of the variance that is to be explained. */
  variance: number;
  /** Share of the rows to fit on; 1 holds none out. */
  trainShare: number;
  /** Cross-validation instead of one split. */
  folds?: number | undefined;
  /** Whether PCA and scaler are fitted on all rows before the split, as the paper's authors did. */
  reduceAll?: boolean | undefined;
  seed: number;
  threads: number;
  signal?: AbortSignal | undefined;
  communicator?: Communicator | undefined;
}

/** Rows to fit on, rows held out, and what is done to both before: unless asked otherwise, fitted on the former alone. */
export interface AnalysedSpace {
  source: string;
  fold: number;
  train: RowSource;
  heldout: RowSource | undefined;
  /** Rows on which the reduction is fitted. */
  seen: RowSource;
  reduction: Reduction;
  /** Share of variance kept; 1 without PCA. */
  explained: number;
  pca?: Pca;
}

/** The spaces of all sources; where the initial mixture brings its own with it, rows are only split. */
export async function spacesOf(
  sources: GmmSource[],
  settings: SpaceSettings & { initial?: SavedMixture | undefined },
  log: Log,
): Promise<AnalysedSpace[]> {
  const given = settings.initial?.space;
  if (!given) return await openSpaces(sources, settings, log);
  const split = await openSpaces(sources, { ...settings, pca: false, standardize: false }, log);
  return split.map(space => {
    if (space.train.width !== given.width)
      throw new UserError(
        `${space.source}: its rows have ${space.train.width} numbers; the mixture of --init-from was fitted to rows of ${given.width}`,
      );
    return { ...space, reduction: given, explained: NaN };
  });
}

/** Splits every source, fits PCA and scaler, and settles the number of dimensions. */
async function openSpaces(sources: GmmSource[], settings: SpaceSettings, log: Log): Promise<AnalysedSpace[]> {
  const parts = sources.flatMap(source =>
    divide(source, settings).map(part => ({ ...part, seen: settings.reduceAll ? source.rows : part.train })),
  );
  if (!settings.pca)
    return await inTurn(parts, async part => ({
      ...part,
      reduction: await columnReduction(part.seen, settings),
      explained: 1,
    }));
  const fitted = await inTurn(parts, async part => ({ ...part, pca: await axes(part, settings, log) }));
  const most = Math.max(...fitted.map(({ pca }) => pca.dims));
  return await inTurn(fitted, async part => {
    const dims = settings.dims === 'common' ? most : part.pca.dims;
    const pca = part.pca.spectrum.length < dims ? await widened(part, dims, settings) : part.pca;
    return space(part, pca, dims, settings);
  });
}

type Divided = Pick<AnalysedSpace, 'source' | 'fold' | 'train' | 'heldout'>;
type Part = Divided & Pick<AnalysedSpace, 'seen'>;

/** Splits a source's rows, without reading them, into the parts to fit and to score: one pair, or one per fold. */
export function divide(
  source: GmmSource,
  { trainShare, folds, seed }: Pick<SpaceSettings, 'trainShare' | 'folds' | 'seed'>,
): Divided[] {
  const { name, rows, heldout } = source;
  const part = { source: name, fold: 0 };
  if (heldout) {
    if (heldout.width !== rows.width)
      throw new UserError(
        `${heldout.name}: its latents have ${heldout.width} numbers, those of ${name} have ${rows.width}; held-out latents must come from the same tokenizer`,
      );
    return [{ ...part, train: rows, heldout }];
  }
  if (folds !== undefined) {
    if (folds > rows.rows) throw new UserError(`${name}: --folds ${folds} is more than its ${rows.rows} rows`);
    return Array.from({ length: folds }, (_, fold) => foldOf(source, fold, folds, seed));
  }
  if (trainShare >= 1) return [{ ...part, train: rows, heldout: undefined }];
  if (rows.rows < 2)
    throw new UserError(`${name}: one row cannot be split into train and held-out; give --split 1`, EXIT.failed);
  const split = splitRows(rows.rows, trainShare, seed);
  return [{ ...part, train: selectedRows(rows, split.train, name), heldout: selectedRows(rows, split.heldout, name) }];
}

/** Fold by fold a share of the rows is left to the next cut, so that all are of the same size within one row. */
function foldOf({ name, rows }: GmmSource, fold: number, folds: number, seed: number): Divided {
  let rest = Int32Array.from({ length: rows.rows }, (_, row) => row);
  let out = rest;
  for (let i = 0; i <= fold; i++) {
    if (i === folds - 1) {
      out = rest;
      break;
    }
    const cut = splitRows(rest.length, 1 / (folds - i), seed + i);
    const from = rest;
    out = cut.train.map(at => from[at]);
    rest = cut.heldout.map(at => from[at]);
  }
  const held = new Set(out);
  const train = Int32Array.from({ length: rows.rows }, (_, row) => row).filter(row => !held.has(row));
  return { source: name, fold, train: selectedRows(rows, train, name), heldout: selectedRows(rows, out, name) };
}

async function axes(
  part: Part,
  { dims, variance, threads, signal, communicator }: SpaceSettings,
  log: Log,
): Promise<Pca> {
  const progress = log.progress(`${part.source}: PCA`, part.seen.rows, 'rows');
  const wanted = typeof dims === 'number' ? { dims } : { variance };
  const onRows = (rows: number): void => progress.update(rows);
  const pca = await fitPca(part.seen, { ...wanted, threads, signal, communicator, onRows });
  progress.stop();
  // Divided by its own deviation, an axis of rounding alone would count as much as any.
  const missing = typeof dims === 'number' ? axesLeftOut(pca, dims) : undefined;
  if (missing !== undefined) log.warn(`${part.source}: ${missing}`);
  const share = (100 * explainedShare(pca, pca.dims)).toFixed(1);
  const residual = pca.residual > 0 ? `, residual ${pca.residual.toExponential(1)}` : '';
  log.note(`${part.source}: ${pca.dims} of ${pca.width} axes explain ${share}% of the variance${residual}`);
  return pca;
}

/** Where a block of axes was solved for: the same and more of them. */
const widened = async ({ seen }: Part, dims: number, { threads, communicator }: SpaceSettings): Promise<Pca> =>
  await fitPca(seen, { dims: Math.min(dims, seen.width, seen.rows), threads, communicator });

function space(part: Part, pca: Pca, dims: number, { standardize }: SpaceSettings): AnalysedSpace {
  // A source with fewer numbers per row than another needs axes keeps what it has.
  const kept = Math.min(dims, pca.spectrum.length);
  return {
    ...part,
    pca,
    reduction: pcaReduction(pca, { dims: kept, standardize }),
    explained: explainedShare(pca, kept),
  };
}

async function inTurn<A, B>(items: A[], work: (item: A) => Promise<B>): Promise<B[]> {
  const out: B[] = [];
  for (const item of items) out.push(await work(item));
  return out;
}
