import { z } from 'zod';
import { UserError, VERSION } from '../base/index.js';
import { ALGORITHMS, COVARIANCE_TYPES, NULLS, STARTS } from '../gmm/names.js';
import type { FittedMixture, GmmSettings, GmmSource } from '../jobs/gmm/index.js';
import { defineCommand, type Context } from './command.js';
import { common, dropNonfinite, force, limit, outFile } from './options.js';
import { bytes, count, counts, namelessDtype, nonNegative, number, words } from '../base/options.js';
import { refuseOutputs, writeTable } from './table.js';

const options = z.object({
  components: counts.default([50, 100, 200]).describe('component counts: 50,100,200 or a range 1-10, 10-100:10'),
  covariance: z.enum(COVARIANCE_TYPES).default('full').describe('shape of the components’ covariances'),
  pca: z.boolean().default(true).describe('reduce by PCA first; --no-pca takes the latents as they are'),
  standardize: z.boolean().default(true).describe('scale every dimension to unit variance; off: --no-standardize'),
  variance: number.gt(0).lt(1).default(0.9).describe('fraction of the variance that the retained axes must exceed'),
  dims: z
    .union([z.enum(['common', 'own']), count])
    .default('common')
    .describe(
      'axes to keep: common (the most that any source needs for --variance), own (what each source needs) or a number',
    ),
  split: number.gt(0).max(1).default(0.8).describe('fraction of rows to fit on, drawn by seed; 1 holds none out'),
  folds: number.int().min(2).optional().describe('cross-validate in this many folds instead of one split'),
  test: z.string().optional().describe('held-out latents, instead of a split; with one input only'),
  algorithm: z
    .enum(ALGORITHMS)
    .default('em')
    .describe(
      'em: an update after each pass over all rows; stepwise: an update after each batch, approximate but in fewer passes',
    ),
  start: z.enum(STARTS).default('kmeans').describe('how rows are initially assigned to components'),
  initFrom: z.string().optional().describe('initialise from this mixture (.npz), in the space that its file describes'),
  restarts: count.default(1).describe('initialisations per fit; the one with the highest likelihood is kept'),
  repeats: count.default(1).describe('fit with this many seeds; the variation between them widens the intervals'),
  grow: z
    .boolean()
    .default(false)
    .describe('initialise each component count from the previous mixture, its heaviest components split'),
  regCovar: nonNegative.default(1e-6).describe('added to every variance'),
  tol: nonNegative.default(1e-3).describe('converged once the mean log-likelihood changes by less than this'),
  maxIter: count.default(100).describe('maximum iterations per fit; with --compat official epochs, 500 by default'),
  compat: z
    .enum(['official'])
    .optional()
    .describe(
      'official: fit as the authors’ published script does: reduction (PCA to 100 axes or --dims, where the script uses UMAP) and scaler fitted on all rows before the split, diagonal mixtures fitted by Adam with unnormalised weights; adds weights_sum and reported_nll, the NLL under those weights',
    ),
  nulls: words
    .pipe(z.array(z.enum(NULLS)))
    .default([])
    .describe(
      'null data to analyse too: surrogate (samples of one Gaussian with the data’s moments), permutation (every dimension shuffled independently)',
    ),
  saveModel: z.string().optional().describe('save the mixtures here: one .npz, or a folder for several'),
  stats: z.string().optional().describe('CSV of each component’s weight, norms, second moment, nearest mean'),
  diffusionFloor: z.string().optional().describe('CSV of the lowest diffusion loss that any network can reach, by t'),
  modes: z.string().optional().describe('CSV of which components merge, and which converge to the same mode'),
  paired: z
    .string()
    .optional()
    .describe('CSV of paired differences between sources of the same images, with intervals'),
  state: z
    .string()
    .optional()
    .describe('folder for the sweep’s state: after an interruption, the same command resumes from it'),
  memory: bytes.optional().describe('memory to use, e.g. 4GB; default: a quarter of the machine’s'),
  threads: count.optional().describe('threads to use; default: all cores'),
  limit,
  flips: z.boolean().default(false).describe('include the mirrored copies'),
  posterior: z
    .enum(['mode', 'sample'])
    .default('mode')
    .describe('of latents stored as moments: take the mean or a sample'),
  dropNonfinite,
  dtype: namelessDtype,
  dryRun: z.boolean().default(false).describe('only report what it would take: dimensions, memory, passes, time'),
  out: outFile,
  force,
  ...common,
});

type Chosen = z.output<typeof options>;

/** Defaults under --compat official. */
const OFFICIAL = { covariance: 'diag', dims: 100, maxIter: 500 } as const;

const COLUMNS = [
  ...[
    'source',
    'control',
    'components',
    'covariance',
    'algorithm',
    'dims',
    'explained_variance',
    'train_rows',
    'heldout_rows',
  ],
  ...['nll', 'nll_low', 'nll_high', 'nll_per_dim', 'train_nll', 'train_nll_per_dim'],
  ...['gain', 'gain_low', 'gain_high', 'train_gain', 'bic', 'aic', 'effective_components', 'modes', 'min_separation'],
  ...['converged', 'iterations', 'restart', 'reseeded', 'falls'],
];
const OFFICIAL_COLUMNS = ['weights_sum', 'reported_nll'];
const PLAN_COLUMNS = ['source', 'components', 'rows', 'dims', 'way', 'memory_mb', 'passes', 'seconds'];
/** Number of time bins of the floor, which is evaluated at their midpoints. */
const FLOOR_BINS = 32;

export const analyzeGmm = defineCommand({
  name: 'analyze-gmm',
  describe: 'Fits Gaussian mixtures to latents after PCA: negative log-likelihood over component counts.',
  examples: [
    ['maetok analyze-gmm mae=latents/mae vae=latents/vae --out nll.csv', 'the paper’s sweep over two tokenizers'],
    ['maetok analyze-gmm latents/mae --components 5,10,50 --covariance diag | maetok plot --out nll.svg', 'a chart'],
    ['maetok analyze-gmm latents/mae --nulls surrogate,permutation', 'how much of it is structure'],
    [
      'maetok analyze-gmm latents/mae --diffusion-floor floor.csv --stats stats.csv',
      'the quantities of the paper’s theorem',
    ],
    ['maetok analyze-gmm latents/mae --compat official --components 5,50', 'as published, next to the true NLL'],
    ['maetok analyze-gmm latents/imagenet --algorithm stepwise --max-iter 3', 'a few passes over very many rows'],
    ['maetok analyze-gmm latents/imagenet --state sweep --memory 16GB', 'a long sweep that can be stopped'],
  ],
  inputs: { name: 'latents', describe: 'latents folders or files, each optionally named (mae=PATH)', max: 64 },
  options,
  remembered: ({ compat }) => Promise.resolve(compat === 'official' ? OFFICIAL : {}),
  saves: ({ state }) => state !== undefined,
  async run(chosen, inputs, context) {
    if (chosen.compat === 'official') refuseUnofficial(chosen);
    const tables = [chosen.out, chosen.stats, chosen.diffusionFloor, chosen.modes, chosen.paired];
    await refuseOutputs(tables, chosen.force);
    const { startEngine } = await import('../engine/index.js');
    await startEngine();
    const sources = await openSources(chosen, inputs, context);
    const settings = await settingsOf(chosen);
    if (chosen.dryRun) {
      const { availableParallelism } = await import('node:os');
      const { planSweep } = await import('../jobs/gmm/index.js');
      const plan = await planSweep(sources, { ...settings, threads: settings.threads ?? availableParallelism() });
      await writeTable(
        context,
        PLAN_COLUMNS,
        plan.map(row => ({ ...row })),
        {},
      );
      return;
    }
    const { holdFolder } = await import('../io/index.js');
    const analysed = (): Promise<void> => analyse(chosen, sources, settings, context);
    await (chosen.state === undefined ? analysed() : holdFolder(chosen.state, { option: '--state' }, analysed));
  },
});

async function analyse(chosen: Chosen, sources: GmmSource[], settings: GmmSettings, context: Context): Promise<void> {
  const { analyzeGmm: analyze } = await import('../jobs/gmm/index.js');
  const { openState } = await import('../jobs/gmm/index.js');
  const protocol = protocolOf(chosen, sources, context);
  const { log, signal } = context;
  const state =
    chosen.state === undefined ? undefined : await openState(chosen.state, { ...protocol, argv: undefined }, log);
  const { rows, fits } = await analyze(sources, settings, { log, signal, state });
  await writeFurtherTables(chosen, fits, settings, context, protocol);
  if (chosen.saveModel !== undefined) await saveModels(chosen.saveModel, fits, chosen.force);
  await writeTable(
    context,
    chosen.compat === 'official' ? [...COLUMNS, ...OFFICIAL_COLUMNS] : COLUMNS,
    rows.map(row => ({ ...row })),
    { out: chosen.out, force: chosen.force, protocol },
  );
}

/** @throws UserError for what the published script cannot do. */
function refuseUnofficial({
  covariance,
  algorithm,
  pca,
  standardize,
  folds,
  test,
  initFrom,
  restarts,
  grow,
}: Chosen): void {
  const asked = {
    [`--covariance ${covariance}`]: covariance !== OFFICIAL.covariance,
    [`--algorithm ${algorithm}`]: algorithm !== 'em',
    '--no-pca': !pca,
    '--no-standardize': !standardize,
    '--folds': folds !== undefined,
    '--test': test !== undefined,
    '--init-from': initFrom !== undefined,
    '--restarts': restarts > 1,
    '--grow': grow,
  };
  const flag = Object.keys(asked).find(flag => asked[flag]);
  if (flag !== undefined)
    throw new UserError(`${flag} cannot be combined with --compat official, which has no such option`);
}

async function openSources(chosen: Chosen, inputs: string[], { log }: Context): Promise<GmmSource[]> {
  const { openNamedLatents, openRows } = await import('./open-latents.js');
  if (chosen.test !== undefined && inputs.length > 1)
    throw new UserError('--test takes one input only: held-out latents belong to one tokenizer');
  const { flips, posterior, dropNonfinite, seed, limit } = chosen;
  const opening = { flips, posterior, dropNonfinite, seed, limit, nameless: chosen.dtype, log };
  const heldout = chosen.test === undefined ? undefined : (await openRows(chosen.test, opening)).rows;
  const sources = await openNamedLatents(inputs, opening);
  return sources.map(({ name, rows, digest }) => ({ name, rows, heldout, digest }));
}

async function settingsOf(chosen: Chosen): Promise<GmmSettings> {
  const { totalmem } = await import('node:os');
  const initial = chosen.initFrom === undefined ? undefined : await initialMixture(chosen.initFrom, chosen);
  return {
    components: initial ? [initial.mixture.components] : chosen.components,
    covariance: initial?.mixture.covarianceType ?? chosen.covariance,
    algorithm: chosen.compat === 'official' ? 'adam' : chosen.algorithm,
    reduceAll: chosen.compat === 'official',
    start: chosen.start,
    initial,
    restarts: initial ? 1 : chosen.restarts,
    repeats: initial ? 1 : chosen.repeats,
    regCovar: chosen.regCovar,
    tol: chosen.tol,
    maxIter: chosen.maxIter,
    controls: ['none', ...chosen.nulls],
    grow: chosen.grow,
    memory: chosen.memory ?? totalmem() / 4,
    threads: chosen.threads,
    floorTimes: chosen.diffusionFloor === undefined ? undefined : floorTimes(),
    modes: chosen.modes !== undefined,
    pca: chosen.pca,
    standardize: chosen.standardize,
    dims: chosen.dims,
    variance: chosen.variance,
    trainShare: chosen.split,
    folds: chosen.folds,
    seed: chosen.seed,
  };
}

const floorTimes = (): number[] => Array.from({ length: FLOOR_BINS }, (_, bin) => (bin + 0.5) / FLOOR_BINS);

async function initialMixture(path: string, { pca, dims, variance }: Chosen) {
  const { loadMixture } = await import('../gmm/index.js');
  const { reductionFrom } = await import('../jobs/gmm/index.js');
  const { mixture, arrays } = await loadMixture(path);
  const space = reductionFrom(arrays);
  if (space && space.dims !== mixture.dims)
    throw new UserError(`${path}: its mixture has ${mixture.dims} dimensions, its PCA or scaler ${space.dims}`);
  if (!space && pca && dims !== mixture.dims)
    throw new UserError(
      `${path}: describes no space (components_, mean_, scale_), so the space of the rows must be given here: use --dims ${mixture.dims} (not --variance ${variance}) or --no-pca`,
    );
  return { mixture, space };
}

/** What the meaning of the numbers depends on. */
function protocolOf(chosen: Chosen, sources: GmmSource[], { argv }: Context): Record<string, unknown> {
  const { components, covariance, pca, standardize, variance, dims, split, folds, start, initFrom, restarts } = chosen;
  const {
    repeats,
    grow,
    regCovar,
    tol,
    maxIter,
    nulls,
    limit: rows,
    flips,
    posterior,
    dropNonfinite,
    seed,
    test,
    compat,
    algorithm,
  } = chosen;
  return {
    command: 'analyze-gmm',
    version: VERSION,
    sources: Object.fromEntries(sources.map(({ name, digest }) => [name, digest])),
    ...{
      covariance,
      algorithm: compat ? 'adam' : algorithm,
      pca,
      standardize,
      variance,
      dims,
      split,
      folds: folds ?? null,
      test: test ?? null,
    },
    ...{ start, initFrom: initFrom ?? null, restarts, repeats, grow, regCovar, tol, maxIter, nulls, components },
    ...(compat && { compat }),
    ...{ limit: rows ?? null, flips, posterior, dropNonfinite, seed },
    nll: 'nats per row of the reduced space; of held-out rows where there are any',
    argv,
  };
}

async function writeFurtherTables(
  chosen: Chosen,
  fits: FittedMixture[],
  { floorTimes: times, seed }: GmmSettings,
  context: Context,
  protocol: Record<string, unknown>,
): Promise<void> {
  const table = (out: string, columns: string[], rows: Parameters<typeof writeTable>[2]): Promise<void> =>
    writeTable(context, columns, rows, { out, force: chosen.force, protocol });
  if (chosen.stats !== undefined) {
    const columns = ['source', 'n_components', 'cluster', 'weight'];
    columns.push('mean_norm', 'cov_norm', 'second_moment', 'min_mean_distance');
    await table(chosen.stats, columns, fits.flatMap(statisticsRows));
  }
  if (chosen.diffusionFloor !== undefined)
    await table(
      chosen.diffusionFloor,
      ['source', 'components', 't', 'loss', 'loss_one_gaussian'],
      fits.flatMap(({ source, components, floor }) =>
        times!.map((t, i) => ({
          source,
          components,
          t,
          loss: floor![i],
          loss_one_gaussian: 1 / ((1 - t) ** 2 + t ** 2),
        })),
      ),
    );
  if (chosen.modes !== undefined)
    await table(
      chosen.modes,
      ['source', 'components', 'groups', 'into', 'from', 'overlap', 'mode_into', 'mode_from'],
      fits.flatMap(({ source, components, merges, modeOf }) =>
        (merges ?? []).map(merge => ({
          source,
          components,
          ...merge,
          mode_into: modeOf![merge.into],
          mode_from: modeOf![merge.from],
        })),
      ),
    );
  if (chosen.paired !== undefined) {
    const { pairedDifferences } = await import('../jobs/gmm/index.js');
    const columns = ['components', 'a', 'b', 'gain_difference', 'low', 'high', 'rank_stability'];
    await table(
      chosen.paired,
      columns,
      pairedDifferences(fits, seed).map(row => ({ ...row })),
    );
  }
}

/** The theorem's constants, under the column names of the paper's authors. */
function statisticsRows({ source, components, statistics }: FittedMixture) {
  return statistics.map(({ cluster, weight, meanNorm, covarianceNorm, secondMoment, minMeanDistance }) => ({
    source,
    n_components: components,
    cluster,
    weight,
    mean_norm: meanNorm,
    cov_norm: covarianceNorm,
    second_moment: secondMoment,
    min_mean_distance: minMeanDistance,
  }));
}

async function saveModels(target: string, fits: FittedMixture[], overwrite: boolean): Promise<void> {
  const { saveMixture } = await import('../gmm/index.js');
  const { spaceArrays } = await import('../jobs/gmm/index.js');
  const path = await import('node:path');
  const single = target.endsWith('.npz');
  if (single && fits.length > 1)
    throw new UserError(`--save-model ${target}: ${fits.length} mixtures were fitted; name a folder for them`);
  for (const { source, components, fit, space } of fits)
    await saveMixture(
      single ? target : path.join(target, `${source}-k${components}.npz`),
      {
        mixture: fit.mixture,
        converged: fit.converged,
        iterations: fit.iterations,
        lowerBound: fit.lowerBounds.at(-1)!,
      },
      { space: spaceArrays(space), force: overwrite },
    );
}
