import type { VitBatch, VitModel, VitNetwork } from '../tokenizers/vit/index.js';
import type { VitSize } from '../tokenizers/vit/presets.js';
import type { TrainingSettings, TrainingTask } from '../training/index.js';
import { tokenizerOptions, type TokenizerOptions } from './tokenizer-options.js';
import { defineTrainable, type PreparedTraining, type Trainable, type TrainingRequest } from './trainable.js';

const ABOUT: Record<VitModel, string> = {
  ae: 'plain autoencoder',
  'kl-vae': 'autoencoder with Gaussian latents and a KL penalty',
  maetok: 'masked autoencoder with auxiliary targets',
};

/** `maetok train ae | kl-vae | maetok`: one backbone, three ways to train it. */
export function trainableTokenizer(model: VitModel): Trainable<typeof tokenizerOptions> {
  return defineTrainable({
    describe: `${ABOUT[model]}: ViT encoder and decoder with learned latent tokens`,
    examples: [
      [`maetok train ${model} --data pictures --out runs/${model}`, 'the tiny preset, 32 pixels'],
      [
        `maetok train ${model} --data imagenet/train --preset base --precision bf16 --out runs/${model}-b`,
        'the paper’s size and schedule',
      ],
    ],
    options: tokenizerOptions,
    free: ['data', 'evaluationImages'],
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
    lr: 1e-3,
    schedule: 'cosine',
    warmup: 50,
    ema: 0.99,
    checkpointEvery: 500,
    evaluateEvery: 250,
  },
  small: PUBLISHED,
  base: PUBLISHED,
  large: PUBLISHED,
};

async function prepare(
  model: VitModel,
  { options, settings, log }: TrainingRequest<TokenizerOptions>,
): Promise<PreparedTraining> {
  const { RandomStream, tf } = await import('../engine/index.js');
  const { openImages, trainingBatches } = await import('../data/index.js');
  const vit = await import('../tokenizers/vit/index.js');
  const { tokenizerModel } = await import('./tokenizer-model.js');
  const { tokenizerEvaluation } = await import('./tokenizer-evaluation.js');
  const { config, recipe } = tokenizerModel(model, options);
  const { imageSize: size } = config;
  const train = await openImages(options.data, { split: 'train', heldOut: options.heldOut, log });
  const val = await openImages(options.data, { split: 'val', heldOut: options.heldOut, log });
  const batches = trainingBatches(train, {
    batchSize: settings.batchSize,
    size,
    augmentation: options.augmentation ?? (size >= 64 ? 'random-crop' : 'flip'),
    seed: settings.seed,
  });
  const task: TrainingTask<VitBatch> = {
    name: model,
    params: vit.initialParams(config, new RandomStream(settings.seed).for('initial'), {
      layerScale: options.layerScale ?? (options.preset === 'tiny' ? 0.1 : 1e-5),
    }),
    batch: async index => {
      const { images: pixels, indices } = await batches.batch(index);
      const images = tf.tensor4d(pixels, [indices.length, size, size, 3]);
      return { images, ...(await vit.targetFeatures(recipe.targets, images, indices)) };
    },
    loss: (params, batch, { step, random }) => vit.vitLoss(config, recipe, params, batch, { step, random }),
    evaluate: tokenizerEvaluation({ config, train, val, count: options.evaluationImages }),
    dispose: async () => {
      await batches.close();
      await train.close();
      await val.close();
    },
  };
  const network: VitNetwork = { family: 'vit', model, config };
  return { task: task, network: { ...network }, inputs: { data: train.digest } };
}
