import { basename, resolve } from 'node:path';
import { UserError } from '../../base/index.js';
import { openImages, type ImageDataset } from '../../data/index.js';
import { agreeOnEach, alone } from '../../distributed/index.js';
import { NO_FEATURES } from '../../features/index.js';
import { isRun } from '../../io/index.js';
import { normalisationCard, type Tokenizer } from '../../tokenizers/index.js';
import { posteriorOf, seededEncoder } from '../extract.js';
import { evaluateEquivariance } from './equivariance.js';
import { evaluateInterpolations, type InterpolationSettings } from './interpolations.js';
import { isOfLatents, metricsFor, ofReconstructions, type MetricChoice } from './metric-choice.js';
import { channelDeviations, curves, withNoise } from './latent-noise.js';
import { evaluateReconstructions, through, type Codec, type Reconstructions } from './reconstructions.js';
import type { Evaluated, EvaluateContext, EvaluationRow, JudgeNetworks } from './rows.js';
import { openTrainingLatents, type TrainingLatents } from './training-latents.js';

export type TokenizerEvaluation = InterpolationSettings &
  Parameters<typeof openImages>[1] &
  MetricChoice & {
    tokenizer: string;
    data: string;
    size?: number | undefined;
    /** Latents of training images, for iFID. */
    latents?: string | undefined;
    /** Noise to add to latents before they are decoded, in standard deviations of their channels. */
    latentNoise?: readonly number[] | undefined;
  };

/** How well a tokenizer reconstructs images, and what is asked of it besides. */
export async function evaluateTokenizer(
  open: () => Promise<Tokenizer>,
  settings: TokenizerEvaluation,
  judges: JudgeNetworks,
  context: EvaluateContext,
): Promise<Evaluated> {
  const tokenizer = await open();
  const images = await openImages(settings.data, { ...settings, log: context.log });
  let training: TrainingLatents | undefined;
  try {
    refuseOtherSize(tokenizer, settings);
    const posterior = posteriorOf(tokenizer, settings);
    if (settings.latents !== undefined)
      training = await openTrainingLatents(settings.latents, tokenizer, posterior, context.log);
    await agreeOnEach(context.communicator ?? alone, {
      [`--tokenizer ${settings.tokenizer}: the digest`]: tokenizer.digest,
      [`--data ${images.name}: the digest`]: images.digest,
      [`--latents ${settings.latents}: the digest`]: await training?.digest(),
    });
    const reconstructs = settings.latentNoise !== undefined || !settings.metrics?.every(isOfLatents);
    const rows = reconstructs ? await reconstructed(tokenizer, images, settings, judges, context) : [];
    if (settings.metrics?.includes('equivariance'))
      rows.push(...(await evaluateEquivariance(tokenizer, images, settings, context)));
    if (training) rows.push(...(await interpolated(tokenizer, images, training, settings, judges, context)));
    const { imageSize, name, digest } = tokenizer;
    const source = isRun(settings.tokenizer) ? basename(resolve(settings.tokenizer)) : name;
    return {
      // A run is called after its folder, as its latents are, so that two of one model can be told apart.
      rows: rows.map(row => ({ ...row, source })),
      card: {
        task: 'reconstruction',
        image_size: imageSize,
        data: { digest: images.digest, count: images.count, split: settings.split },
        tokenizer: { name, digest, ...(await normalisationCard(tokenizer.normalisation)) },
        posterior,
        latent_noise: settings.latentNoise?.join(','),
        ...(training && (await interpolationCard(training, settings))),
      },
    };
  } finally {
    await training?.close();
    tokenizer.dispose();
    await images.close();
  }
}

function refuseOtherSize({ imageSize, sizeMultiple }: Tokenizer, { tokenizer, size }: TokenizerEvaluation): void {
  if (size === undefined || size === imageSize) return;
  throw new UserError(
    `${tokenizer}: reconstructs images of ${imageSize} pixels, not --size ${size}` +
      (sizeMultiple === undefined ? '' : `; --image-size ${size} opens it for that size`),
  );
}

async function reconstructed(
  tokenizer: Tokenizer,
  images: ImageDataset,
  settings: TokenizerEvaluation,
  judges: JudgeNetworks,
  context: EvaluateContext,
): Promise<EvaluationRow[]> {
  const { latentNoise: levels, batchSize, seed } = settings;
  const all = { ...judges, metrics: await metricsFor(settings, ofReconstructions, judges.extractor) };
  const codec: Codec = { encode: seededEncoder(tokenizer, settings), decode: latents => tokenizer.decode(latents) };
  const evaluated = (reconstructions: Reconstructions): Promise<EvaluationRow[]> =>
    evaluateReconstructions(tokenizer.name, images, tokenizer.imageSize, reconstructions, all, settings, context);
  if (!levels) return await evaluated(through(codec));
  const deviations = await channelDeviations(tokenizer, images, codec.encode, batchSize, context);
  return curves(await evaluated(withNoise(codec, levels, deviations, seed)));
}

async function interpolated(
  tokenizer: Tokenizer,
  images: ImageDataset,
  training: TrainingLatents,
  settings: TokenizerEvaluation,
  { extractor }: JudgeNetworks,
  context: EvaluateContext,
): Promise<EvaluationRow[]> {
  if (!extractor) throw new UserError(NO_FEATURES);
  return await evaluateInterpolations(tokenizer, images, training, extractor, settings, context);
}

async function interpolationCard(
  training: TrainingLatents,
  { interpolation, withinClass }: TokenizerEvaluation,
): Promise<Record<string, unknown>> {
  return {
    training_latents: { digest: await training.digest(), count: training.count },
    interpolation: { way: interpolation, within_class: withinClass },
  };
}
