import type { Tensor } from '../../../engine/index.js';
import { UserError, type Log } from '../../../base/index.js';
import { sha256OfFile } from '../../../io/index.js';
import type { FrozenSet, Objective, Predictor, Recipe, RunNetwork } from '../../../diffusion/index.js';
import type { EvaluationRows, TrainingSettings, TrainingSnapshot, TrainingTask } from '../../../training/index.js';
import type { NormalisedLatents } from '../../../latents/index.js';
import { architecture, warnOfNarrowness } from './architecture.js';
import { openFeatures } from './features.js';
import { diffusionOptions, isLightning, timesOf, type DiffusionOptions } from './options.js';
import { defineTrainable, type PreparedTraining, type Trainable, type TrainingRequest } from '../trainable.js';

/** `maetok train sit-… | lightningdit-…`: a diffusion transformer on a latents folder. */
export function trainableDiffusion(model: string): Trainable<typeof diffusionOptions> {
  return defineTrainable({
    describe: isLightning(model)
      ? 'LightningDiT on latents: rotary positions, RMSNorm, SwiGLU, log-normal times, direction loss'
      : 'SiT on latents: velocity of the linear path, class labels with dropout',
    examples: [
      [`maetok train ${model} --latents latents/mae --out runs/${model}`, 'loss.csv has the loss by timestep'],
      [`maetok train ${model} --latents latents/mae --repa latents/dinov2 --out runs/repa`, 'aligned with features'],
      [`maetok train ${model} --latents latents/rae --head-depth 2 --out runs/wide`, 'with RAE’s wide head'],
      [
        `maetok train ${model} --latents latents/vae --repa latents/dinov2 --repa-projector conv --repa-normalise spatial --out runs/irepa`,
        'aligned with where features lie (iREPA)',
      ],
    ],
    options: diffusionOptions,
    main: ['latents', 'patch', 'prediction', 'times', 'labelDropout', 'repa'],
    free: ['latents', 'repa', 'evaluationSamples', 'bins', 'floor'],
    settings: () => settingsOf(model),
    prepare: request => prepare(model, request),
  });
}

/** The published training; small networks take larger steps, and averages as long as their few steps allow. */
function settingsOf(model: string): Partial<TrainingSettings> {
  const common = { schedule: 'constant', warmup: 0, weightDecay: 0, betas: [0.9, 0.999] } as const;
  if (model.endsWith('-tiny'))
    return { ...common, betas: [0.9, 0.999], steps: 2000, batchSize: 64, lr: 1e-3, ema: 0.99, evaluateEvery: 250 };
  if (isLightning(model))
    return { ...common, betas: [0.9, 0.95], steps: 80_000, batchSize: 1024, lr: 2e-4, ema: 0.9999, clip: 0 };
  return { ...common, betas: [0.9, 0.999], steps: 400_000, batchSize: 256, lr: 1e-4, ema: 0.9999, clip: 1 };
}

/** Share of the features' mean over tokens that iREPA's authors take off. */
const USUAL_SPATIAL_MEAN = 0.6;

interface LatentBatch {
  latents: Float32Array;
  labels: Int32Array;
  features?: Float32Array;
}

async function prepare(
  model: string,
  { options, settings, portion, log }: TrainingRequest<DiffusionOptions>,
): Promise<PreparedTraining> {
  const { RandomStream, tf } = await import('../../../engine/index.js');
  const { initialise, isTable, missedShift, runNetworkSchema, timeShiftOf, trainingLoss } =
    await import('../../../diffusion/index.js');
  const { batchRows, openNormalised, splitImages } = await import('../../../latents/index.js');
  refuseCombinations(model, options);
  const latents = await openNormalised(options.latents, { ...options, log });
  const features = await openFeatures(options, latents, log);
  const config = await architecture(model, options, latents, features);
  const recipe = recipeOf(model, options, timeShiftOf(options.timeShift ?? 'none', config));
  const { timeShift } = recipe.times;
  warn(options, settings, latents, log);
  warnOfNarrowness(model, config, log);
  sayTimeShift(options, timeShift, missedShift(config), latents, log);
  const { train, heldout } = splitImages(latents, options.split, settings.seed);
  const rowsOf = batchRows(latents, train, settings.seed);
  const { tokens, channels } = config;
  const task: TrainingTask<LatentBatch> = {
    name: model,
    params: initialise(config, new RandomStream(settings.seed).for('initial')),
    trains: name => !isTable(name),
    batch: async index => {
      const rows = rowsOf(index, settings.batchSize).slice(portion.rows.start, portion.rows.end);
      const [read, aligned] = await Promise.all([latents.read(rows), features?.read(rows)]);
      return { latents: read, labels: rows.map(latents.label), ...(aligned && { features: aligned }) };
    },
    loss: (params, batch, { random }) => {
      const shape: [number, number, number] = [batch.labels.length, tokens, channels];
      const data: Tensor = tf.tensor3d(batch.latents, shape);
      return trainingLoss(
        config,
        params,
        { data, labels: batch.labels, features: batch.features && features?.tensor(batch.features) },
        recipe,
        random,
      );
    },
    evaluate: await evaluation({ config, objective: recipe.objective }, latents, { train, heldout }, options, settings),
    dispose: async () => {
      await latents.source.close();
      await features?.close();
    },
  };
  const network: RunNetwork = {
    architecture: config,
    objective: recipe.objective,
    mean: Array.from(latents.mean),
    std: Array.from(latents.std),
    classes: latents.classNames,
    labelDropout: options.labelDropout,
    timeShift: timeShift === 1 ? undefined : timeShift,
    tokenizer: tokenizerOf(latents),
  };
  return {
    task: task,
    network: { ...network },
    networkSchema: runNetworkSchema,
    inputs: {
      latents: latents.digest,
      ...(features && { features: features.digest }),
      ...(options.floor && { floor: await sha256OfFile(options.floor) }),
    },
  };
}

function refuseCombinations(model: string, options: DiffusionOptions): void {
  const {
    prediction,
    weighting,
    gft,
    repa,
    labelDropout,
    timeMean,
    timeStd,
    headDepth = 0,
    headWidth,
    headHeads,
  } = options;
  const { repaProjector = 'mlp', repaNormalise = 'none', repaMean, earlyHead, earlyWeight } = options;
  if (prediction === 'velocity' && weighting !== 'none')
    throw new UserError(`--weighting ${weighting}: applies to --prediction noise or data only, not to velocity`);
  if (timesOf(model, options).distribution !== 'lognormal' && (timeMean ?? timeStd) !== undefined)
    throw new UserError(
      `${timeMean === undefined ? '--time-std' : '--time-mean'}: applies to --times lognormal, but these are uniform`,
    );
  if (gft && repa !== undefined) throw new UserError('--gft and --repa cannot be combined');
  if (headDepth === 0 && (headWidth ?? headHeads) !== undefined)
    throw new UserError(`--head-${headWidth === undefined ? 'heads' : 'width'}: needs --head-depth, e.g. 2`);
  if (gft && headDepth > 0) throw new UserError('--gft and --head-depth cannot be combined');
  if (gft && earlyHead !== undefined) throw new UserError('--gft and --early-head cannot be combined');
  if (repa === undefined && (repaProjector !== 'mlp' || repaNormalise !== 'none'))
    throw new UserError(`--repa-${repaProjector === 'mlp' ? 'normalise' : 'projector'}: needs --repa FEATURES`);
  if (repaNormalise === 'none' && repaMean !== undefined)
    throw new UserError('--repa-mean: needs --repa-normalise spatial');
  if (earlyHead === undefined && earlyWeight !== undefined)
    throw new UserError('--early-weight: needs --early-head BLOCK');
  if (gft && labelDropout === 0) throw new UserError('--gft: needs --label-dropout, which trains its null class');
}

function recipeOf(model: string, options: DiffusionOptions, timeShift: number): Recipe {
  const { path, prediction, weighting, labelDropout, repaWeight } = options;
  const objective: Objective = { path, prediction, time: 'noise-to-data', timeScale: 1 };
  return {
    objective,
    weighting,
    labelDropout,
    times: { ...timesOf(model, options), timeShift },
    direction: options.direction ?? (isLightning(model) ? 1 : 0),
    alignment: repaWeight,
    ...(options.repaNormalise === 'spatial' && { spatialMean: options.repaMean ?? USUAL_SPATIAL_MEAN }),
    early: options.earlyWeight ?? 1,
  };
}

function warn(
  { labelDropout }: DiffusionOptions,
  { ema, steps }: TrainingSettings,
  { source }: NormalisedLatents,
  log: Log,
): void {
  if (!source.labels) log.warn(`${source.name}: has no labels; the model has a single class`);
  else if (labelDropout === 0)
    log.warn('--label-dropout 0: the model will have no trained null class, which guidance needs');
  const window = 1 / (1 - ema);
  if (ema > 0 && window > steps / 5)
    log.warn(
      `--ema ${ema} averages over ${Math.round(window)} steps, long for a run of ${steps}; ` +
        `--ema ${suggestedEma(steps)} suits it better`,
    );
}

function sayTimeShift(
  { timeShift: meant = 'none' }: DiffusionOptions,
  timeShift: number,
  missed: number | undefined,
  { source: { name, tokens, channels } }: NormalisedLatents,
  log: Log,
): void {
  const latent = `${name}: ${tokens}×${channels} numbers a latent`;
  if (meant === 'auto')
    log.note(
      `${latent}: training times are shifted by ${timeShift.toPrecision(3)}${timeShift === 1 ? '' : `, towards ${timeShift > 1 ? 'noise' : 'data'}`}`,
    );
  else if (meant === 'none' && missed !== undefined)
    log.warn(
      `${latent}, whose training times others shift by ${missed.toPrecision(3)} towards noise, without which large ` +
        'latents are judged too harshly; --time-shift auto does',
    );
}

/** An average over about a tenth of the run. */
const suggestedEma = (steps: number): number => Number((1 - Math.min(1, 10 / steps)).toPrecision(3));

/** What the latents say of their tokenizer, and of the images that it was given. */
function tokenizerOf({ source }: NormalisedLatents): Record<string, unknown> {
  const { tokenizer, image_size } = source.meta;
  return {
    ...(tokenizer as Record<string, unknown> | undefined),
    ...(typeof image_size === 'number' && { image_size }),
  };
}

/** loss.csv: the loss by timestep on frozen rows of both parts, with the weights and with their average. */
async function evaluation(
  model: Omit<Predictor, 'params'>,
  latents: NormalisedLatents,
  parts: { train: Int32Array; heldout: Int32Array },
  { bins, evaluationSamples: samples, floor }: DiffusionOptions,
  { batchSize }: TrainingSettings,
): Promise<(context: TrainingSnapshot) => Promise<{ tables: EvaluationRows }>> {
  const { lossByTime } = await import('../../../diffusion/index.js');
  const { FROZEN_SEED, frozenSet } = await import('../../diffusion-loss/index.js');
  const { floorSubtraction } = await import('../../diffusion-loss/index.js');
  const subtract = floor && (await floorSubtraction(floor, latents, model.objective.path));
  const sets: Record<string, FrozenSet> = {};
  for (const [part, rows] of Object.entries(parts))
    sets[part] = await frozenSet(latents, rows, { bins, samples, seed: FROZEN_SEED });
  return async ({ params, ema }) => {
    const rows: EvaluationRows[string] = [];
    for (const [split, frozen] of Object.entries(sets)) {
      for (const [weights, values] of Object.entries({ raw: params, ...(ema && { ema }) })) {
        const losses = await lossByTime({ ...model, params: values }, frozen, batchSize);
        rows.push(...(subtract ? subtract(losses) : losses).map(row => ({ split, weights, ...row })));
      }
    }
    return { tables: { loss: rows } };
  };
}
