import { availableCores, EXIT, UserError, type Log } from '../../base/index.js';
import { alone, type Communicator } from '../../distributed/index.js';
import {
  confusion,
  fitMixture,
  logDensities,
  mergeTree,
  openWorkspace,
  rowShare,
  scoreWorkspace,
  splitHeaviest,
  type Mixture,
} from '../../gmm/index.js';
import { cachedRows, distinctRows, type CachedRows, type RowSource } from '../../rows/index.js';
import { reducedRows } from '../../pca/index.js';
import { fitOptions, resumableFit, Stopped } from './fit.js';
import { splitMemory } from './memory.js';
import { nullRows } from './nulls.js';
import { report, type GmmReport, type ScoredFit, type SpaceResult } from './report.js';
import type { GmmContext, GmmSettings, SweepSettings } from './settings.js';
import { spacesOf, type AnalysedSpace, type GmmSource } from './space.js';

/**
 * The paper's analysis of latent spaces: split, PCA and scaling fitted on the training rows, and a sweep of Gaussian
 * mixtures over component counts, scored on held-out rows.
 * @throws UserError where a source cannot be split or fitted as asked, and when it is interrupted.
 */
export async function analyzeGmm(sources: GmmSource[], chosen: GmmSettings, context: GmmContext): Promise<GmmReport> {
  const settings: SweepSettings = {
    ...chosen,
    threads: chosen.threads ?? availableCores(),
    memory: splitMemory(chosen.memory),
    communicator: context.communicator ?? alone,
  };
  try {
    const spaces = await spacesOf(sources, { ...settings, signal: context.signal }, context.log);
    const results: SpaceResult[] = [];
    for (const space of spaces) results.push(...(await analyzeSpace(space, settings, context)));
    return report(results, settings);
  } catch (error) {
    if (!context.signal?.aborted && !(error instanceof Stopped)) throw error;
    throw new UserError(
      context.state
        ? 'interrupted; the state is saved, the same command line resumes from there'
        : 'interrupted; with --state FOLDER the same command line could resume from there',
      EXIT.interrupted,
    );
  }
}

async function analyzeSpace(
  space: AnalysedSpace,
  settings: SweepSettings,
  context: GmmContext,
): Promise<SpaceResult[]> {
  const { memory, controls, communicator } = settings;
  const reduced = (rows: RowSource): RowSource => reducedRows(space.reduction, rows);
  const kept = (rows: RowSource, part: number): Promise<CachedRows> =>
    cachedRows(reduced(rows), part, { share: rowShare(communicator, rows.rows) });
  const train = await kept(space.train, memory.train);
  const heldout = space.heldout && (await kept(space.heldout, memory.heldout));
  // What is kept is the rank's share; alone that is all.
  const real = ({ rows }: CachedRows, from: RowSource) => ({
    kept: rows,
    all: communicator.size > 1 ? reduced(from) : rows,
  });
  try {
    const results: SpaceResult[] = [];
    for (const control of controls) {
      const rows = await nullRows(
        control,
        real(train, space.train),
        heldout && real(heldout, space.heldout!),
        settings,
      );
      try {
        results.push(...(await sweep({ space, control, ...rows }, settings, context)));
      } finally {
        await rows.dispose();
      }
    }
    return results;
  } finally {
    await train.dispose();
    await heldout?.dispose();
  }
}

/** The rows to fit and to score in one space, real or a control's. */
interface Swept {
  space: AnalysedSpace;
  control: SpaceResult['control'];
  train: RowSource;
  heldout: RowSource | undefined;
}

async function sweep(swept: Swept, settings: SweepSettings, context: GmmContext): Promise<SpaceResult[]> {
  const { space, control, train, heldout } = swept;
  const { covariance, memory, threads, repeats, grow, communicator } = settings;
  // With a state folder an iteration is finished and saved before an interruption takes effect.
  const signal = context.state ? undefined : context.signal;
  const counts = [...settings.components].sort((a, b) => a - b);
  const largest = Math.max(1, ...counts);
  await requireRows(swept, largest, communicator, context.log);
  const own = { threads, signal, communicator };
  const ws = await openWorkspace(train, { components: largest, covariance, memory: memory.workspace, ...own });
  try {
    /** log p of the held-out rows, or of the training rows where none are held out. */
    const score = async (mixture: Mixture): Promise<Float32Array> => {
      if (!heldout) return (await scoreWorkspace(ws, mixture)).logs;
      return (await logDensities(mixture, heldout, { memory: memory.second, ...own })).logs;
    };
    const one = await fitMixture(ws, { ...fitOptions(settings, 1, 0), restarts: 1 });
    const oneLogs = await score(one.mixture);
    const scored = async (components: number, repeat: number, former: Mixture | undefined): Promise<ScoredFit> => {
      const options = fitOptions(settings, components, repeat);
      const start = grow && former ? splitHeaviest(former, components) : options.start;
      const what = { space, control, components, repeat, algorithm: settings.algorithm };
      const fit = await resumableFit(
        { ws, train, memory: memory.second, threads },
        what,
        { ...options, start },
        context,
      );
      const logs = await score(fit.mixture);
      return {
        fit,
        train: -fit.logLikelihood,
        trainGain: fit.logLikelihood - one.logLikelihood,
        nlls: logs.map(value => -value),
        gains: logs.map((value, row) => value - oneLogs[row]),
      };
    };
    const results: SpaceResult[] = [];
    let former: Mixture | undefined;
    for (const components of counts) {
      const fits: ScoredFit[] = [];
      for (let repeat = 0; repeat < repeats; repeat++) fits.push(await scored(components, repeat, former));
      fits.sort((a, b) => a.train - b.train);
      former = fits[0].fit.mixture;
      results.push({
        space,
        control,
        components,
        trainRows: train.rows,
        heldoutRows: heldout?.rows ?? 0,
        fits,
        ...(settings.modes && control === 'none' && { merges: mergeTree(await confusion(ws, former), components) }),
      });
    }
    return results;
  } finally {
    await ws.close();
  }
}

/** @throws UserError where there are fewer rows than components; warns where there are fewer distinct ones. */
async function requireRows(
  { space: { source }, train }: Swept,
  components: number,
  communicator: Communicator,
  log: Log,
): Promise<void> {
  if (components > train.rows)
    throw new UserError(
      `${source}: ${components} components need at least as many rows to fit; there are ${train.rows}`,
      EXIT.failed,
    );
  if (communicator.size > train.rows)
    throw new UserError(
      `${source}: its ${train.rows} rows to fit are fewer than the ${communicator.size} ranks; start fewer`,
      EXIT.failed,
    );
  const share = rowShare(communicator, train.rows);
  const distinct = await distinctRows(train, components, { communicator, share });
  if (distinct < components)
    log.warn(
      `${source}: only ${distinct} of its ${train.rows} rows are distinct, fewer than ${components} components; some components will coincide`,
    );
}
