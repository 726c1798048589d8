import { EXIT, UserError, type Log } from '../../base/index.js';
import {
  errorsByTime,
  lossesOf,
  openDiffusion,
  type Diffusion,
  type FrozenSet,
  type TimeLoss,
} from '../../diffusion/index.js';
import { agreeOnEach, alone, gathered, ofRank, shareOf, type Communicator } from '../../distributed/index.js';
import { isRun, readRunConfig, sha256OfFile, type NamelessDType, type WeightsName } from '../../io/index.js';
import { floorSubtraction, type BeyondFloor } from './floor.js';
import { splitImages, type NormalisedLatents } from '../../latents/index.js';
import { diffusionOptions, trainedCard } from '../train/diffusion/options.js';
import { openFitting } from './open-fitting.js';
import { FROZEN_SEED, frozenSet } from './frozen.js';

export interface LossSettings {
  latents: string;
  weights: 'both' | WeightsName;
  /** Frozen (row, noise, time) per part; default: as many as the run measured on. */
  samples?: number | undefined;
  bins?: number | undefined;
  /** A mixture fitted to the latents, whose closed-form floor is subtracted. */
  floor?: string | undefined;
  /** Every row under the null class. */
  unconditional: boolean;
  batchSize: number;
  dropNonfinite: boolean;
  dtype?: NamelessDType | undefined;
  seed: number;
  /** Of published weights. */
  heads?: number | undefined;
}

export interface LossRow extends TimeLoss, Partial<BeyondFloor> {
  step: number | '';
  split: string;
  weights: WeightsName;
}

interface MeasureContext {
  log: Log;
  signal: AbortSignal;
  /** The ranks that share the bins of times; default one alone. */
  communicator?: Communicator | undefined;
}

/**
 * The diffusion loss of a checkpoint by timestep on frozen rows, noise and times: on a run's own latents the numbers of
 * its loss.csv, on any others those of all their rows. The engine has been started.
 */
export async function diffusionLoss(
  checkpoint: string,
  settings: LossSettings,
  context: MeasureContext,
): Promise<{ rows: LossRow[]; card: Record<string, unknown> }> {
  const run = await runOptions(checkpoint);
  const kinds = weightsOf(checkpoint, settings);
  const first = await openDiffusion(checkpoint, { ...settings, weights: kinds[0] });
  const latents = await openFitting(first, settings, context.log);
  try {
    await agreeOnEach(context.communicator ?? alone, {
      [`${checkpoint}: the digest`]: first.digest,
      [`--latents ${latents.source.name}: the digest`]: latents.digest,
    });
    const sets = await frozenSets(first, latents, run, settings, context.log);
    const rows: LossRow[] = [];
    for (const weights of kinds) rows.push(...(await measured(checkpoint, weights, first, sets, settings, context)));
    const { objective, mean, std } = first;
    const units = { width: latents.width, mean, std };
    const subtract = settings.floor && (await floorSubtraction(settings.floor, units, objective.path));
    return {
      rows: subtract ? subtract(rows) : rows,
      card: { ...(await cardOf(first, latents, sets, settings)), trained: run.trained },
    };
  } finally {
    first.dispose();
    await latents.source.close();
  }
}

/** A run's settings for measuring and holding out; the defaults for published weights. */
async function runOptions(checkpoint: string) {
  const config = isRun(checkpoint) ? (await readRunConfig(checkpoint)).config : {};
  const {
    bins,
    evaluationSamples: samples,
    split,
  } = diffusionOptions.parse({ latents: '', ...objectOf(config.options) });
  const { seed = 0 } = objectOf(config.training) as { seed?: number };
  return { bins, samples, split, seed, trained: trainedCard(config) };
}

const objectOf = (value: unknown): Record<string, unknown> => (value ?? {}) as Record<string, unknown>;

/** A published file's averaged weights are what it is opened at by itself. */
function weightsOf(checkpoint: string, { weights }: LossSettings): WeightsName[] {
  if (weights !== 'both') return [weights];
  return isRun(checkpoint) ? ['raw', 'ema'] : ['ema'];
}

/** The run's own split for the run's latents; all rows of any other latents. */
async function frozenSets(
  diffusion: Diffusion,
  latents: NormalisedLatents,
  run: Awaited<ReturnType<typeof runOptions>>,
  { bins = run.bins, samples = run.samples, unconditional, seed }: LossSettings,
  log: Log,
): Promise<Record<string, FrozenSet>> {
  const { classes } = diffusion.config;
  const unlabelled = !latents.source.labels && classes > 1;
  if (unlabelled && !unconditional) log.warn(`${latents.source.name}: has no labels; measured under the null class`);
  const own = diffusion.latents === latents.digest;
  const all = Int32Array.from({ length: latents.images }, (_, image) => image);
  const parts: Record<string, Int32Array> = own ? { ...splitImages(latents, run.split, run.seed) } : { all };
  const sets: Record<string, FrozenSet> = {};
  for (const [part, images] of Object.entries(parts)) {
    const frozen = await frozenSet(latents, images, { bins, samples, seed: FROZEN_SEED + seed });
    sets[part] = unconditional || unlabelled ? { ...frozen, labels: frozen.labels.map(() => classes) } : frozen;
  }
  return sets;
}

async function measured(
  checkpoint: string,
  weights: WeightsName,
  first: Diffusion,
  sets: Record<string, FrozenSet>,
  settings: LossSettings,
  { log, signal, communicator = alone }: MeasureContext,
): Promise<LossRow[]> {
  const own = weightsOf(checkpoint, settings)[0] === weights;
  const diffusion = own ? first : await openDiffusion(checkpoint, { ...settings, weights });
  try {
    // A run without a moving average gives its weights for it.
    if (!own && diffusion.digest === first.digest) return [];
    const rows: LossRow[] = [];
    for (const [split, frozen] of Object.entries(sets)) {
      if (signal.aborted) throw new UserError('interrupted; nothing was written', EXIT.interrupted);
      const { bins, perBin } = frozen;
      log.note(`${diffusion.name}: ${weights} weights on ${bins * perBin} rows (${split})`);
      const share = shareOf(communicator, bins);
      const what = `${diffusion.name}: loss of ${split} rows${ofRank(communicator)}`;
      const progress = log.progress(what, share.end - share.start, 'bins');
      const own = await errorsByTime(diffusion, frozen, settings.batchSize, share, done => progress.update(done));
      progress.stop();
      const losses = lossesOf(diffusion.objective, frozen, await gathered(communicator, own));
      rows.push(...losses.map(loss => ({ step: diffusion.step ?? ('' as const), split, weights, ...loss })));
    }
    return rows;
  } finally {
    if (!own) diffusion.dispose();
  }
}

/** What the meaning of the numbers depends on. */
async function cardOf(
  diffusion: Diffusion,
  latents: NormalisedLatents,
  sets: Record<string, FrozenSet>,
  { floor, unconditional, seed, dropNonfinite }: LossSettings,
): Promise<Record<string, unknown>> {
  const [{ bins, perBin }] = Object.values(sets);
  const mixture = floor === undefined ? {} : { floor: await sha256OfFile(floor) };
  return {
    sources: { model: diffusion.digest, latents: latents.digest, ...mixture },
    objective: diffusion.objective,
    convention: diffusion.convention,
    splits: Object.keys(sets),
    bins,
    samples_per_bin: perBin,
    labels: unconditional ? 'null' : 'own',
    drop_nonfinite: dropNonfinite,
    seed,
  };
}
