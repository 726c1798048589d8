import type { Tensor, Tensor3D, Tensor4D } from '../../../engine/index.js';
import type { Params } from '../../../nn/index.js';
import type { RaeBatch, RaeNetwork, RaeRecipe } from '../../../tokenizers/rae/index.js';
import type { TrainingSettings } from '../../../training/index.js';
import type { TokenizerTask } from '../tokenizer-critic.js';
import { defined, defineTrainable, type PreparedTraining, type Trainable, type TrainingRequest } from '../trainable.js';
import { raeDecoderOptions, type RaeDecoderOptions } from './options.js';

/** `maetok train rae-decoder`: the decoder of a representation autoencoder, on a frozen encoder's tokens. */
export const trainableRaeDecoder = (): Trainable<typeof raeDecoderOptions> =>
  defineTrainable({
    describe: 'decoder of an RAE: ViT that turns the tokens of a frozen encoder into images',
    examples: [
      [
        'maetok train rae-decoder --encoder hf:facebook/dinov2-with-registers-small --data images --out runs/rae',
        'small',
      ],
      [
        'maetok train rae-decoder --encoder dinov2-with-registers-base/ --data imagenet/train --preset xl --lpips vgg16.pth,lin.pth --disc dino --disc-backbone dino_vits8.pth --precision bf16 --out runs/rae-xl',
        'the authors’ decoder and losses',
      ],
    ],
    options: raeDecoderOptions,
    main: ['encoder', 'data', 'preset', 'imageSize', 'noiseTau', 'latentStatistics', 'disc', 'perceptual'],
    // The contents of these files are identified by their digests.
    free: ['data', 'evaluationImages', 'encoder', 'latentStatistics', 'lpips', 'discBackbone'],
    settings: ({ preset }) => (preset === 'tiny' ? TINY : PUBLISHED),
    prepare,
  });

/** The authors' 16 epochs of ImageNet. */
const PUBLISHED: Partial<TrainingSettings> = {
  steps: 40_000,
  batchSize: 512,
  lr: 2e-4,
  schedule: 'cosine',
  warmup: 2500,
  warmupLr: 0,
  finalLr: 0.1,
  weightDecay: 0,
  clip: 0,
  ema: 0.9978,
  checkpointEvery: 2500,
  evaluateEvery: 2500,
};

const TINY: Partial<TrainingSettings> = {
  steps: 1000,
  batchSize: 64,
  lr: 2e-3,
  schedule: 'cosine',
  warmup: 50,
  weightDecay: 0,
  ema: 0.97,
  checkpointEvery: 500,
  evaluateEvery: 250,
};

async function prepare(request: TrainingRequest<RaeDecoderOptions>): Promise<PreparedTraining> {
  const { options, settings, log } = request;
  const { RandomStream, tf } = await import('../../../engine/index.js');
  const { sha256OfFile } = await import('../../../io/index.js');
  const { prefixed, under } = await import('../../../nn/index.js');
  const rae = await import('../../../tokenizers/rae/index.js');
  const { openCritic } = await import('../tokenizer-critic.js');
  const { openTrainingImages } = await import('../tokenizer-data.js');
  const { tokenizerEvaluation } = await import('../tokenizer-evaluation.js');
  const { openPerceptualLoss } = await import('../tokenizer-perceptual.js');
  const { openEncoder } = await import('./encoder.js');
  const { decoderSizes, raeConfig } = await import('./model.js');

  const sizes = decoderSizes(options);
  const { vision, params: encoder, digest } = await openEncoder(options.encoder, log);
  const config = await orDisposed(encoder, () => raeConfig(options, sizes, vision));
  const data = await openTrainingImages([sizes.imageSize], request);
  const random = new RandomStream(settings.seed);
  const critic = await openCritic(options, firstJudged(options), random.for('discriminator'));
  const perceptual = await openPerceptualLoss(options.lpips, perceptualWeight(options), log);
  const recipe: RaeRecipe = { ...options, perceptual };
  const { latentStatistics: statistics } = options;
  const encode = (images: Tensor4D): Tensor3D => rae.encodeTokens(config, vision, encoder, images);
  const task: TokenizerTask<RaeBatch> = {
    name: 'rae-decoder',
    params: {
      // The loop owns its tensors; batches are made with these.
      ...prefixed(
        mapped(encoder, tensor => tensor.clone()),
        'encoder',
      ),
      ...rae.initialDecoder({ ...sizes, channels: vision.width }, random.for('initial')),
      ...(statistics === undefined
        ? rae.emptyStatistics(vision.width, config.side)
        : await rae.givenStatistics(statistics, vision.width, config.side)),
    },
    batch: async index => {
      const { images: pixels, indices, size } = await data.batch(index);
      const images = tf.tensor4d(pixels, [indices.length, size, size, 3]);
      return { images, tokens: encode(images) };
    },
    loss: (params, batch, context) => {
      const step = { step: context.step, random: context.random, adversary: critic?.adversary(context) };
      const { reconstruction, ...result } = rae.raeLoss(config, recipe, params, batch, step);
      const buffers = rae.movedStatistics(params, batch.tokens);
      return { ...result, buffers, ...(critic && { shared: { reconstruction } }) };
    },
    trains: key => key.startsWith('decoder.'),
    bufferRule: rae.STATISTICS_RULE,
    ...(critic && { wholeBatches: '--disc' }),
    ...(critic && { phases: critic.phases }),
    evaluate: tokenizerEvaluation({
      ...data,
      imageSize: sizes.imageSize,
      count: options.evaluationImages,
      codec: params => ({
        encode,
        decode: tokens => tf.tidy(() => rae.decodeImages(config, rae.joinedLayers(under(params, 'decoder')), tokens)),
      }),
    }),
    dispose: async () => {
      perceptual?.dispose();
      tf.dispose(encoder);
      await data.close();
    },
  };
  const network: RaeNetwork = { family: 'rae', config, vision };
  return {
    task,
    // As it comes back from config.yaml, without what is undefined.
    network: JSON.parse(JSON.stringify(network)) as Record<string, unknown>,
    inputs: defined({
      data: data.train.digest,
      encoder: digest,
      statistics: statistics === undefined ? undefined : await sha256OfFile(statistics),
      lpips: perceptual?.digest,
      discriminator: critic?.digest,
    }),
    info: perceptual ? { perceptual: perceptual.name } : {},
  };
}

async function orDisposed<T>(params: Params, f: () => T): Promise<T> {
  try {
    return f();
  } catch (error) {
    const { tf } = await import('../../../engine/index.js');
    tf.dispose(params);
    throw error;
  }
}

const mapped = (params: Params, f: (tensor: Tensor) => Tensor): Params =>
  Object.fromEntries(Object.entries(params).map(([key, tensor]) => [key, f(tensor)]));

/** First step of the discriminator: after half of the authors' epochs. */
const firstJudged = ({ preset, discStart }: RaeDecoderOptions): number => discStart ?? (preset === 'tiny' ? 0 : 20_000);

const perceptualWeight = ({ preset, perceptual, perceptualRamp: ramp }: RaeDecoderOptions) => ({
  weight: perceptual ?? (preset === 'tiny' ? 0 : 1),
  ramp,
});
