import { z } from 'zod';
import { UserError } from '../base/index.js';
import { byFirst, type Communicator } from '../distributed/index.js';
import { ALGORITHMS, COVARIANCE_TYPES, NULLS, STARTS } from '../gmm/names.js';
import type { GmmSettings, GmmSource } from '../jobs/gmm/index.js';
import { agreeOnCard } from './agreement.js';
import { defineCommand, type Context } from './command.js';
import { common, drawn, dropNonfinite, force, limit, outFile, requeue } from './options.js';
import { bytes, count, counts, nonNegative, number, words } from '../base/options.js';
import { POSTERIORS } from '../io/names.js';
import { namelessDtype } from '../io/options.js';
import { card, picked, refuseOutputs, writeTable, type Card, type Row } from './table.js';

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
  best: z
    .string()
    .optional()
    .describe('CSV of each source’s components at the best held-out NLL, effective components, modes; with intervals'),
  paired: z
    .string()
    .optional()
    .describe('CSV of paired differences between sources of the same images, with intervals'),
  state: z
    .string()
    .optional()
    .describe('folder for the sweep’s state: after an interruption, the same command resumes from it'),
  memory: bytes
    .optional()
    .describe(
      'memory to use, e.g. 4GB, by each rank if there are several; default: a quarter of the machine’s, shared by its ranks',
    ),
  threads: count.optional().describe('threads to use; default: all cores'),
  limit,
  flips: z.boolean().default(false).describe('include the mirrored copies'),
  posterior: z.enum(POSTERIORS).default('mode').describe('of latents stored as moments: take the mean or a sample'),
  rows: drawn,
  dropNonfinite,
  dtype: namelessDtype,
  dryRun: z.boolean().default(false).describe('only report what it would take: dimensions, memory, passes, time'),
  out: outFile,
  requeue,
  force,
  ...common,
});

type Chosen = z.output<typeof options>;

/** Defaults under --compat official. */
const OFFICIAL = { covariance: 'diag', dims: 100, maxIter: 500 } as const;

const OFFICIAL_COLUMNS = ['weights_sum', 'reported_nll'];
const MERGE_COLUMNS = ['source', 'components', 'groups', 'into', 'from', 'overlap', 'mode_into', 'mode_from'];
const PAIRED_COLUMNS = ['components', 'a', 'b', 'gain_difference', 'low', 'high', 'rank_stability'];

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
  main: [
    'components',
    'covariance',
    'pca',
    'variance',
    'dims',
    'split',
    'nulls',
    'limit',
    'state',
    'saveModel',
    'dryRun',
    'out',
    'force',
  ],
  remembered: ({ compat }) => Promise.resolve(compat === 'official' ? OFFICIAL : {}),
  saves: ({ state }) => state !== undefined,
  // The published script takes a step every 64 rows.
  ranks: ({ compat }) => compat === undefined,
  async run(chosen, inputs, context) {
    if (chosen.compat === 'official') refuseUnofficial(chosen);
    if (chosen.requeue && chosen.state === undefined)
      throw new UserError('--requeue needs --state, the folder from which the job goes on');
    const tables = [chosen.out, chosen.stats, chosen.diffusionFloor, chosen.modes, chosen.best, chosen.paired];
    const { log, signal, argv, communicator } = context;
    await byFirst(communicator, () => refuseOutputs(tables, chosen.force));
    const { startEngineFor } = await import('../engine/index.js');
    const { sources, origins } = await openSources(chosen, inputs, context);
    const [job] = await Promise.all([import('../jobs/gmm/index.js'), startEngineFor(sources.map(({ rows }) => rows))]);
    const settings = await settingsOf(chosen, communicator);
    if (chosen.dryRun) {
      const plan = await job.planSweep(sources, settings, communicator);
      await writeTable(context, Object.keys(plan[0]), plan as unknown as Row[], {});
      return;
    }
    const work = cardOf(chosen, settings, await origins());
    await agreeOnCard(communicator, work);
    const { rows, fits } = await job.withState(chosen.state, work, context, state =>
      job.analyzeGmm(sources, settings, { log, signal, communicator, state }),
    );
    const table = async (out: string | undefined, found: object[], columns = Object.keys(found[0])): Promise<void> =>
      writeTable(context, columns, found as Row[], { out, force: chosen.force, protocol: { ...work, argv } });
    if (chosen.stats !== undefined) await table(chosen.stats, job.componentRows(fits));
    if (chosen.diffusionFloor !== undefined) await table(chosen.diffusionFloor, job.floorRows(fits));
    if (chosen.modes !== undefined) await table(chosen.modes, job.mergeRows(fits), MERGE_COLUMNS);
    if (chosen.best !== undefined) await table(chosen.best, job.bestMixtures(fits, chosen.seed));
    if (chosen.paired !== undefined)
      await table(chosen.paired, job.pairedDifferences(fits, chosen.seed), PAIRED_COLUMNS);
    if (chosen.saveModel !== undefined)
      await byFirst(communicator, () => job.saveFits(chosen.saveModel!, fits, chosen.force));
    const columns = Object.keys(rows[0]).filter(column => chosen.compat || !OFFICIAL_COLUMNS.includes(column));
    await table(chosen.out, rows, columns);
  },
});

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

async function openSources(
  chosen: Chosen,
  inputs: string[],
  { log, communicator }: Context,
): Promise<{ sources: GmmSource[]; origins: () => Promise<Origins> }> {
  const { digestsOf, hiddenStatesOf, openNamedLatents, openRows } = await import('./open-latents.js');
  if (chosen.test !== undefined && chosen.folds !== undefined)
    throw new UserError('--folds and --test: give one or the other; folds hold out rows of the latents themselves');
  if (chosen.test !== undefined && inputs.length > 1)
    throw new UserError('--test takes one input only: held-out latents belong to one tokenizer');
  const opening = { ...chosen, drawn: chosen.rows, nameless: chosen.dtype, log, communicator };
  const heldout =
    chosen.test === undefined ? undefined : (await openRows(chosen.test, { ...opening, drawn: undefined })).rows;
  const opened = await openNamedLatents(inputs, opening);
  const origins = async (): Promise<Origins> => ({
    sources: await digestsOf(opened),
    hiddenStates: hiddenStatesOf(opened),
  });
  return { sources: opened.map(({ name, rows }) => ({ name, rows, heldout })), origins };
}

/** What a protocol card says of where the rows come from. */
interface Origins {
  sources: Record<string, string>;
  hiddenStates: Record<string, unknown> | undefined;
}

async function settingsOf(chosen: Chosen, { localSize }: Communicator): Promise<GmmSettings> {
  const { totalmem } = await import('node:os');
  const { initialMixture } = await import('../jobs/gmm/index.js');
  const initial = chosen.initFrom === undefined ? undefined : await initialMixture(chosen.initFrom, chosen);
  const { covarianceType: covariance, components } = initial?.mixture ?? {};
  const official = chosen.compat === 'official';
  return {
    ...chosen,
    ...(initial && { initial, components: [components!], covariance: covariance!, restarts: 1, repeats: 1 }),
    algorithm: official ? 'adam' : chosen.algorithm,
    reduceAll: official,
    controls: ['none', ...chosen.nulls],
    memory: chosen.memory ?? totalmem() / 4 / localSize,
    floor: chosen.diffusionFloor !== undefined,
    modes: chosen.modes !== undefined || chosen.best !== undefined,
    trainShare: chosen.split,
  };
}

const cardOf = (chosen: Chosen, { algorithm }: GmmSettings, origins: Origins): Card =>
  card('analyze-gmm', {
    ...origins,
    ...picked({ ...chosen, algorithm }, ['covariance', 'algorithm', 'pca', 'standardize', 'variance', 'dims', 'split']),
    ...picked(chosen, ['folds', 'test', 'start', 'initFrom', 'restarts', 'repeats', 'grow', 'regCovar', 'tol']),
    ...picked(chosen, ['maxIter', 'nulls', 'components', ...(chosen.compat ? (['compat'] as const) : [])]),
    ...picked(chosen, ['limit', 'rows', 'flips', 'posterior', 'dropNonfinite', 'seed']),
    nll: 'nats per row of the reduced space; of held-out rows where there are any',
  });
