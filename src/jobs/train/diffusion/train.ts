import type { Tensor } from '../../../engine/index.js';
import { UserError, type Log } from '../../../base/index.js';
import { sha256OfFile } from '../../../io/index.js';
import type { TimeDistribution } from '../../../diffusion/names.js';
import type { FrozenSet, NetworkConfig, Objective, Predictor, Recipe, RunNetwork } from '../../../diffusion/index.js';
import type { EvaluationRows, TrainingSettings, TrainingSnapshot, TrainingTask } from '../../../training/index.js';
import type { NormalisedLatents } from '../../../latents/index.js';
import { diffusionOptions, type DiffusionOptions } from './options.js';
import { defineTrainable, type PreparedTraining, type Trainable, type TrainingRequest } from '../trainable.js';

const isLightning = (model: string): boolean => model.startsWith('lightningdit');

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

/** Width of RAE's head, and of each of its attention heads. */
const PUBLISHED_HEAD = 2048;
const NUMBERS_PER_HEAD = 128;

interface LatentBatch {
  latents: Float32Array;
  labels: Int32Array;
  features?: Float32Array;
}

async function prepare(
  model: string,
  { options, settings, log }: TrainingRequest<DiffusionOptions>,
): Promise<PreparedTraining> {
  const { RandomStream, tf } = await import('../../../engine/index.js');
  const { initialise, isTable, missedShift, timeShiftOf, trainingLoss } = await import('../../../diffusion/index.js');
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
      const rows = rowsOf(index, settings.batchSize);
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
    inputs: {
      latents: latents.digest,
      ...(features && { features: features.digest }),
      ...(options.floor && { floor: await sha256OfFile(options.floor) }),
    },
  };
}

function refuseCombinations(model: string, options: DiffusionOptions): void {
  const { prediction, weighting, gft, repa, labelDropout, timeMean, timeStd, headDepth, headWidth, headHeads } =
    options;
  if (prediction === 'velocity' && weighting !== 'none')
    throw new UserError(`--weighting ${weighting}: applies to --prediction noise or data only, not to velocity`);
  if (timesOf(model, options) !== 'lognormal' && (timeMean ?? timeStd) !== undefined)
    throw new UserError(
      `${timeMean === undefined ? '--time-std' : '--time-mean'}: applies to --times lognormal, but these are uniform`,
    );
  if (gft && repa !== undefined) throw new UserError('--gft and --repa cannot be combined');
  if (headDepth === 0 && (headWidth ?? headHeads) !== undefined)
    throw new UserError(`--head-${headWidth === undefined ? 'heads' : 'width'}: needs --head-depth, e.g. 2`);
  if (gft && headDepth > 0) throw new UserError('--gft and --head-depth cannot be combined');
  if (gft && labelDropout === 0) throw new UserError('--gft: needs --label-dropout, which trains its null class');
}

function recipeOf(model: string, options: DiffusionOptions, timeShift: number): Recipe {
  const { path, prediction, weighting, labelDropout, repaWeight, timeMean: mean = 0, timeStd: std = 1 } = options;
  const objective: Objective = { path, prediction, time: 'noise-to-data', timeScale: 1 };
  return {
    objective,
    weighting,
    labelDropout,
    times: { distribution: timesOf(model, options), mean, std, timeShift },
    direction: options.direction ?? (isLightning(model) ? 1 : 0),
    alignment: repaWeight,
  };
}

const timesOf = (model: string, { times }: DiffusionOptions): TimeDistribution =>
  times ?? (isLightning(model) ? 'lognormal' : 'uniform');

async function architecture(
  model: string,
  options: DiffusionOptions,
  { source, classes }: NormalisedLatents,
  features: AlignedFeatures | undefined,
): Promise<NetworkConfig> {
  const { MODELS, networkConfig } = await import('../../../diffusion/index.js');
  const { tokens, channels, grid, name } = source;
  const { patch, qkNorm, gft, repaWidth } = options;
  if (patch > 1 && (!grid || grid.some(side => side % patch !== 0)))
    throw new UserError(
      `${name}: --patch ${patch} needs latents on a grid whose sides it divides; these are ${grid ? `${grid.join('×')} tokens` : `a sequence of ${tokens} tokens`}`,
    );
  const { depth, width } = MODELS[model];
  const after = options.repaAfter ?? Math.min(8, Math.ceil(depth / 2));
  if (features && after > depth) throw new UserError(`--repa-after ${after}: ${model} has ${depth} blocks`);
  return networkConfig(
    model,
    { tokens, channels, grid },
    {
      classes,
      patch,
      qkNorm,
      ...headOf(model, width, options),
      beta: gft && 'linear',
      ...(features && { projectors: { after, width: repaWidth, features: [features.channels] } }),
    },
  );
}

/** DDT's head and, as it was published, times embedded at drawn frequencies. */
function headOf(
  model: string,
  width: number,
  { headDepth, headWidth, headHeads }: DiffusionOptions,
): Partial<NetworkConfig> {
  if (headDepth === 0) return {};
  const own = headWidth ?? (model.endsWith('-tiny') ? 2 * width : PUBLISHED_HEAD);
  const heads = headHeads ?? own / NUMBERS_PER_HEAD;
  // Rotary positions on a grid turn pairs of numbers along two axes.
  if (own % (4 * heads) !== 0 || !Number.isInteger(heads))
    throw new UserError(
      `--head-width ${own}: must be a multiple of 4 times ${headHeads === undefined ? `its heads, of ${NUMBERS_PER_HEAD} numbers each; set --head-heads` : `--head-heads ${heads}`}`,
    );
  return { head: { width: own, depth: headDepth, heads }, timeFeatures: 'drawn' };
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

/** A network narrower than the noise that it is to predict cannot pass it on (Zheng et al. 2025, §4). */
function warnOfNarrowness(model: string, { head, width, channels, patch }: NetworkConfig, log: Log): void {
  const numbers = channels * patch ** 2;
  const narrowest = head?.width ?? width;
  if (narrowest < numbers)
    log.warn(
      `${model}: each of its tokens stands for ${numbers} numbers of the latents but is ${narrowest} wide, which limits what it can predict; ` +
        (head ? '--head-width makes the head wider' : '--head-depth 2 adds a wide head'),
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

interface AlignedFeatures {
  channels: number;
  digest: string;
  read: (rows: Int32Array) => Promise<Float32Array>;
  tensor: (data: Float32Array) => Tensor;
  close: () => Promise<void>;
}

/** REPA's features: one row per image, in the order of the latents. */
async function openFeatures(
  { repa }: DiffusionOptions,
  { images, source, flips }: NormalisedLatents,
  log: Log,
): Promise<AlignedFeatures | undefined> {
  if (repa === undefined) return undefined;
  const { tf } = await import('../../../engine/index.js');
  const { openLatents } = await import('../../../latents/index.js');
  const found = await openLatents(repa, { log });
  const mirrored = flips && found.hasFlips;
  const features = mirrored ? await openLatents(repa, { log, flips: true }) : found;
  const rows = mirrored ? features.count / 2 : features.count;
  if (rows !== images)
    throw new UserError(`${repa}: holds features of ${rows} images, ${source.name} latents of ${images}`);
  const { tokens, channels } = features;
  return {
    channels,
    digest: await features.digest(),
    read: wanted => features.read(mirrored ? wanted : wanted.map(row => row % images)),
    tensor: data => tf.tensor3d(data, [data.length / tokens / channels, tokens, channels]),
    close: () => features.close(),
  };
}

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
