import { namesOf, UserError, type Log } from '../../base/index.js';
import {
  CONVENTIONS,
  guidanceOf,
  missedShift,
  openDiffusion,
  samplerCard,
  shiftOf,
  timeShiftOf,
  toInner,
  type Diffusion,
  type InnerTerms,
  type Predictor,
  type SamplerChoice,
  type SamplingPlan,
} from '../../diffusion/index.js';
import { SAMPLERS } from '../../diffusion/samplers/names.js';
import { RandomStream } from '../../engine/index.js';
import { openLatents } from '../../latents/index.js';
import { normalisationCard, openTokenizer, type Tokenizer } from '../../tokenizers/index.js';
import type { SampleOptions } from './options.js';
import { labelPlan, unequalShares } from './labels.js';
import { sampleImages, type SampleContext, type SampleResult } from './sample.js';

export interface SampleRunOptions extends SampleOptions {
  seed: number;
  precision: string;
}

/** `maetok sample`: opens everything, checks that it fits together, samples. The engine has been started. */
export async function sampleRun(
  input: string,
  chosen: SampleRunOptions,
  context: SampleContext,
): Promise<SampleResult> {
  if (chosen.trajectoryMeasures) refuseWithoutTurns(chosen);
  const diffusion = await opened(input, chosen, context.log);
  try {
    const bad = chosen.bad === undefined ? undefined : await opened(chosen.bad, chosen, context.log);
    try {
      return await sampled(diffusion, bad, chosen, context);
    } finally {
      bad?.dispose();
    }
  } finally {
    diffusion.dispose();
  }
}

async function opened(
  path: string,
  { weights, heads, latents, convention }: SampleRunOptions,
  log: Log,
): Promise<Diffusion> {
  const normalisation = latents === undefined ? undefined : await statisticsOf(latents, log);
  const named = convention === 'own' || convention === 'scale-s' ? undefined : convention;
  return await openDiffusion(path, { weights, heads, normalisation, convention: named, log });
}

async function statisticsOf(path: string, log: Log) {
  const latents = await openLatents(path, { log });
  try {
    return await latents.statistics();
  } finally {
    await latents.close();
  }
}

async function sampled(
  diffusion: Diffusion,
  bad: Diffusion | undefined,
  chosen: SampleRunOptions,
  context: SampleContext,
): Promise<SampleResult> {
  const inner = innerTerms(diffusion, chosen);
  saySamplingShift(diffusion, inner, chosen, context.log);
  if (diffusion.config.beta) refuseForGuidanceFree(inner, chosen);
  else warnAboutGuidance(diffusion, bad, inner, context.log);
  if (bad) refuseMisfit(diffusion, bad);
  const internal = internalGuidanceOf(diffusion, chosen);
  const label = labelPlan(chosen.labels, diffusion.config.classes, diffusion.classes, chosen.seed);
  const uneven = unequalShares(chosen.labels, diffusion.config.classes, chosen.num);
  if (uneven !== undefined) context.log.note(uneven);
  const tokenizer = await openFitting(diffusion, chosen, context.log);
  try {
    const plan = { ...planOf(diffusion, bad, inner, chosen), internal };
    return await sampleImages(
      diffusion,
      plan,
      tokenizer,
      {
        ...chosen,
        label,
        pixelOffset: CONVENTIONS[chosen.convention].pixelOffset,
        grid: chosen.grid ?? `${chosen.out.replace(/\/+$/, '')}-grid.png`,
        card: await cardOf(diffusion, bad, tokenizer, plan, chosen),
      },
      context,
    );
  } finally {
    tokenizer.dispose();
  }
}

/** Paths are measured where they are curves and have at least one turn. */
function refuseWithoutTurns(chosen: SampleRunOptions): void {
  const { sampler } = chosen;
  const curves = namesOf(SAMPLERS).filter(name => SAMPLERS[name].solves === 'ode');
  if (!curves.includes(sampler))
    throw new UserError(
      `--trajectory-measures: --sampler ${sampler} adds noise on the way, so its paths are no curves; choose ${curves.join(', ')}`,
    );
  if (sampler !== 'dopri5' && termsBeforeOpening(chosen).steps < 2)
    throw new UserError('--trajectory-measures: a path of one step has no turns; give more --steps');
}

/** The setting in our own terms, but for a shift that is given by a word. */
const termsBeforeOpening = ({ shift, ...chosen }: SampleRunOptions): InnerTerms =>
  toInner(chosen.convention, { ...chosen, shift: typeof shift === 'number' ? shift : 1 });

/** The setting in our own terms; a shift by word is of the model, whatever the convention. */
function innerTerms({ config, timeShift = 1 }: Diffusion, chosen: SampleRunOptions): InnerTerms {
  const { guidedChannels, shift } = chosen;
  return {
    ...termsBeforeOpening(chosen),
    ...(guidedChannels !== undefined && { channels: guidedChannels }),
    ...(typeof shift === 'string' && { shift: shiftOf(shift === 'run' ? timeShift : timeShiftOf(shift, config)) }),
  };
}

function saySamplingShift(
  { name, config, timeShift = 1, step }: Diffusion,
  { shift }: InnerTerms,
  { shift: meant }: SampleRunOptions,
  log: Log,
): void {
  const used = shiftOf(shift);
  const missed = missedShift(config);
  const shown = (value: number): string => (value === 1 ? 'no time shift' : `time shift ${value.toPrecision(3)}`);
  if (used !== 1 && meant === 'run')
    log.note(`${name}: sampled with its ${shown(used)} of training (--shift ${shift.toPrecision(3)})`);
  else if (step === undefined && meant === 'run' && missed !== undefined)
    log.note(
      `${name}: published weights do not tell how their times were shifted, so these are not; --shift auto does by ${missed.toPrecision(3)}`,
    );
  else if (step !== undefined && Math.abs(Math.log(used / timeShift)) > 1e-3)
    log.note(`${name}: sampled with ${shown(used)}, trained with ${shown(timeShift)}`);
}

function warnAboutGuidance(
  { name, config, labelDropout }: Diffusion,
  bad: Diffusion | undefined,
  { guidance }: InnerTerms,
  log: Log,
): void {
  if (guidance === 1 || bad) return;
  if (labelDropout === 0)
    log.warn(`${name}: was trained without label dropout, so its null class is untrained and guidance is meaningless`);
  else if (config.classes === 1) log.warn(`${name}: has only one class, so guidance has no effect`);
}

/** Internal guidance in our own terms. @throws UserError where the model has no early prediction. */
function internalGuidanceOf(
  { name, config }: Diffusion,
  { internalGuidance: guidance, internalInterval, convention, bad }: SampleRunOptions,
): SamplingPlan['internal'] {
  if (guidance === undefined) {
    if (internalInterval) throw new UserError('--internal-interval: needs --internal-guidance W');
    return undefined;
  }
  if (!config.early)
    throw new UserError(`--internal-guidance: ${name} has no early prediction; train with --early-head BLOCK`);
  if (bad !== undefined)
    throw new UserError('--internal-guidance and --bad cannot be combined: either is a worse model to guide away from');
  const terms = toInner(convention, { guidance, interval: internalInterval ?? [0, 1], shift: 1, steps: 2 });
  return { scale: terms.guidance, interval: terms.interval };
}

/** Two models can guide one sample only where they speak of the same latents. */
function refuseMisfit(a: Diffusion, b: Diffusion): void {
  const shape = ({ config }: Diffusion): string => `${config.tokens}×${config.channels}`;
  if (shape(a) !== shape(b))
    throw new UserError(`--bad ${b.name}: was trained on ${shape(b)} latents, ${a.name} on ${shape(a)}`);
  if (a.config.classes !== b.config.classes)
    throw new UserError(`--bad ${b.name}: has ${b.config.classes} classes, ${a.name} ${a.config.classes}`);
  const differs = (x: Float32Array, y: Float32Array): boolean =>
    x.some((value, c) => Math.abs(value - y[c]) > 1e-4 * (Math.abs(value) + 1e-3));
  if (differs(a.mean, b.mean) || differs(a.std, b.std))
    throw new UserError(`--bad ${b.name}: was trained on latents normalised differently from ${a.name}’s`);
}

async function openFitting(
  diffusion: Diffusion,
  { tokenizer, latentStatistics, imageSize: side }: SampleRunOptions,
  log: Log,
): Promise<Tokenizer> {
  const { spec, digest, statistics: extracted, image_size: trained } = diffusion.tokenizer;
  const named = tokenizer ?? spec;
  if (typeof named !== 'string')
    throw new UserError(`${diffusion.name}: does not say which tokenizer made its latents; name it with --tokenizer`);
  const imageSize = side ?? (typeof trained === 'number' ? trained : undefined);
  const statistics = latentStatistics ?? (typeof extracted === 'string' && !tokenizer ? extracted : undefined);
  const opened = await openTokenizer(named, { imageSize, statistics, log, only: 'decode' });
  const [tokens, channels] = opened.latentShape;
  const { config } = diffusion;
  if (tokens !== config.tokens || channels !== config.channels) {
    opened.dispose();
    throw new UserError(
      `--tokenizer ${named}: has ${tokens}×${channels} latents, but ${diffusion.name} makes ${config.tokens}×${config.channels}`,
    );
  }
  if (typeof digest === 'string' && digest !== opened.digest)
    log.warn(`--tokenizer ${named}: is not the one that made the latents of ${diffusion.name} (their digests differ)`);
  return opened;
}

/** A model of guidance-free training guides in one pass by itself, and can do nothing else. */
function refuseForGuidanceFree(
  { guidance, channels }: InnerTerms,
  { bad, rescale, convention }: SampleRunOptions,
): void {
  const refused = (what: string): never => {
    throw new UserError(`${what}: a model of guidance-free training guides by itself; leave it out`);
  };
  if (bad !== undefined) refused('--bad');
  if (rescale > 0) refused('--rescale');
  if (channels !== undefined) refused(convention === 'own' ? '--guided-channels' : `--convention ${convention}`);
  if (guidance < 1) throw new UserError(`--guidance ${guidance}: a model of guidance-free training takes 1 or more`);
}

function planOf(
  diffusion: Diffusion,
  bad: Diffusion | undefined,
  inner: InnerTerms,
  chosen: SampleRunOptions,
): SamplingPlan {
  const model = ({ config, params, objective }: Diffusion): Predictor => ({ config, params, objective });
  const sampler: SamplerChoice = { ...chosen, name: chosen.sampler, steps: inner.steps, shift: inner.shift };
  return {
    model: model(diffusion),
    bad: bad && model(bad),
    guidance: guidanceOf(inner, chosen.rescale),
    sampler,
    random: new RandomStream(chosen.seed).for('samples'),
  };
}

/** Everything that a sample depends on except its number, in our own convention. */
async function cardOf(
  diffusion: Diffusion,
  bad: Diffusion | undefined,
  tokenizer: Tokenizer,
  { guidance, internal, sampler }: SamplingPlan,
  chosen: SampleRunOptions,
): Promise<Record<string, unknown>> {
  return {
    model: diffusion.name,
    model_digest: diffusion.digest,
    model_step: diffusion.step ?? null,
    bad_digest: bad?.digest ?? null,
    tokenizer: tokenizer.name,
    tokenizer_digest: tokenizer.digest,
    ...(await normalisationCard(tokenizer.normalisation)),
    weights: chosen.weights,
    seed: chosen.seed,
    labels: chosen.labels,
    guidance,
    ...(internal && { internal_guidance: internal }),
    sampler: await samplerCard(sampler, chosen.batchSize),
    convention: chosen.convention,
    trained_time_shift: diffusion.timeShift,
    precision: chosen.precision,
  };
}
