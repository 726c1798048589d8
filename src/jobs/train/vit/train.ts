import type { VitBatch, VitConfig, VitModel, VitNetwork, VitRecipe, VitSize } from '../../../tokenizers/vit/index.js';
import type { TrainingSettings } from '../../../training/index.js';
import type { TokenizerTask } from '../tokenizer-critic.js';
import { vitTrainingOptions, type VitTrainingOptions } from './options.js';
import { defined, defineTrainable, type PreparedTraining, type Trainable, type TrainingRequest } from '../trainable.js';

const ABOUT: Record<VitModel, string> = {
  ae: 'plain autoencoder',
  'kl-vae': 'autoencoder with Gaussian latents and a KL penalty',
  maetok: 'masked autoencoder with auxiliary targets',
};

/** `maetok train ae | kl-vae | maetok`: one backbone, three ways to train it. */
export function trainableVit(model: VitModel): Trainable<typeof vitTrainingOptions> {
  return defineTrainable({
    describe: `${ABOUT[model]}: ViT encoder and decoder with learned latent tokens`,
    examples: [
      [`maetok train ${model} --data images --out runs/${model}`, 'the tiny preset, 32 pixels'],
      [
        `maetok train ${model} --data imagenet/train --preset base --precision bf16 --out runs/${model}-b`,
        'the paper’s size and schedule',
      ],
    ],
    options: vitTrainingOptions,
    main: [
      'data',
      'preset',
      'imageSize',
      'latentTokens',
      'latentChannels',
      'mask',
      'aux',
      'teacher',
      'kl',
      'disc',
      'from',
      'stage',
    ],
    // The contents of these files are identified by their digests.
    free: ['data', 'evaluationImages', 'teacher', 'align', 'lpips', 'discBackbone', 'from'],
    settings: chosen => SETTINGS[chosen.preset],
    prepare: request => prepare(model, request),
  });
}

const PUBLISHED: Partial<TrainingSettings> = {
  steps: 500_000,
  batchSize: 512,
  lr: 2e-4,
  schedule: 'cosine',
  warmup: 5000,
  warmupLr: 1e-5,
  finalLr: 0.1,
  checkpointEvery: 5000,
  evaluateEvery: 5000,
};

const SETTINGS: Record<VitSize, Partial<TrainingSettings>> = {
  // A small model takes larger steps, and an average over its few steps must be a short one.
  tiny: {
    steps: 1000,
    batchSize: 64,
    lr: 2e-3,
    schedule: 'cosine',
    warmup: 50,
    ema: 0.97,
    checkpointEvery: 500,
    evaluateEvery: 250,
  },
  small: PUBLISHED,
  base: PUBLISHED,
  large: PUBLISHED,
};

async function prepare(model: VitModel, request: TrainingRequest<VitTrainingOptions>): Promise<PreparedTraining> {
  const { options, settings, log } = request;
  const { RandomStream, tf } = await import('../../../engine/index.js');
  const vit = await import('../../../tokenizers/vit/index.js');
  const { openCritic } = await import('../tokenizer-critic.js');
  const { openTrainingImages } = await import('../tokenizer-data.js');
  const { tokenizerEvaluation } = await import('../tokenizer-evaluation.js');
  const { openPerceptualLoss } = await import('../tokenizer-perceptual.js');
  const { openVitFeatures } = await import('./features.js');
  const { auxNames, backbone, vitFromOptions } = await import('./model.js');
  const { openStart, startingParams } = await import('./start.js');

  const start = await openStart(options, log);
  const body = backbone(model, options, start?.config);
  const data = await openTrainingImages(options.sizes ?? [body.imageSize], request);
  const features = await openVitFeatures(auxNames(model, options), body, data, request);
  const { teachers, align } = features;
  const { config, recipe } = vitFromOptions(model, options, { teachers, start: start?.config, steps: settings.steps });
  const random = new RandomStream(settings.seed);
  const critic = await openCritic(options, firstJudged(options), random.for('discriminator'));
  const perceptual = await openPerceptualLoss(options.lpips, perceptualWeight(options), log);
  const whole: VitRecipe = {
    ...recipe,
    ...(perceptual && { perceptual }),
    ...(align && { align: { weight: options.alignWeight, margins: marginsOf(options) } }),
  };
  const task: TokenizerTask<VitBatch> = {
    name: model,
    params: startingParams(config, {
      start,
      random: random.for('initial'),
      layerScale: options.layerScale,
      aligned: align?.width,
    }),
    batch: async index => {
      const { images: pixels, indices, size } = await data.batch(index);
      const images = tf.tensor4d(pixels, [indices.length, size, size, 3]);
      const targets = await vit.targetFeatures(recipe.targets, images, indices);
      return { images, targets, align: await align?.features(images, indices) };
    },
    loss: (params, batch, context) => {
      const { step, random } = context;
      const { reconstruction, ...result } = vit.vitLoss(config, whole, params, batch, {
        step,
        random,
        adversary: critic?.adversary(context),
      });
      return { ...result, ...(critic && { shared: { reconstruction } }) };
    },
    ...(options.stage === 'decoder' ? { trains: isDecoder } : {}),
    wholeBatches: critic ? '--disc' : align && '--align',
    ...(critic && { phases: critic.phases }),
    evaluate: tokenizerEvaluation({
      ...data,
      imageSize: config.imageSize,
      count: options.evaluationImages,
      codec: params => ({
        encode: images => vit.encodeLatents(config, params, images),
        decode: (latents, side) => vit.decode(config, params, latents, { grid: gridOf(config, side) }).output,
      }),
    }),
    dispose: async () => {
      perceptual?.dispose();
      await features.close();
      await data.close();
    },
  };
  const network: VitNetwork = { family: 'vit', model, config };
  const digests = { from: start?.digest, lpips: perceptual?.digest, discriminator: critic?.digest };
  return {
    task,
    network: { ...network },
    inputs: { data: data.train.digest, ...features.inputs, ...defined(digests) },
    info: perceptual ? { perceptual: perceptual.name } : {},
  };
}

const gridOf = ({ patchSize }: VitConfig, side: number): [number, number] => [side / patchSize, side / patchSize];

/** The pixel decoder and the layer before it. */
const isDecoder = (key: string): boolean => /^(decoder|post_quant_conv)\./.test(key);

/** A few steps of a small network have no room for long ramps. */
const perceptualWeight = ({ preset, perceptual, perceptualRamp }: VitTrainingOptions) =>
  preset === 'tiny'
    ? { weight: perceptual ?? 0, ramp: perceptualRamp ?? 0 }
    : { weight: perceptual ?? 1, ramp: perceptualRamp ?? 10_000 };

/** First step of the discriminator. */
const firstJudged = ({ preset, discStart }: VitTrainingOptions): number =>
  discStart ?? (preset === 'tiny' ? 0 : 30_000);

const marginsOf = ({ alignMargins: [cosine, distance] }: VitTrainingOptions) => ({ cosine, distance });
