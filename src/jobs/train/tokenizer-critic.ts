import { UserError } from '../../base/index.js';
import { tf, type RandomStream, type Scalar, type Tensor4D } from '../../engine/index.js';
import { BATCH_NORM_MOMENTUM, prefixed, under, type Params } from '../../nn/index.js';
import {
  augment,
  discriminatorLoss,
  generatorLoss,
  judgeBoth,
  lecam,
  LOGIT_DECAY,
  newPatchGan,
  openDinoCritic,
  STRONG,
  updateLogitMeans,
  WEAK,
  type Adversary,
  type Critic,
  type LogitMeans,
} from '../../tokenizers/losses/index.js';
import { movingBuffers, type LossContext, type PhaseResult, type TrainingTask } from '../../training/index.js';
import type { FidelityOptions } from './tokenizer-options.js';

/** A discriminator in a run: what trains it, and what it says to the tokenizer. */
export interface TokenizerCritic {
  phases: NonNullable<TokenizerTask<ImageBatch>['phases']>;
  /** From its first step on. */
  adversary(context: LossContext<'discriminator'>): Adversary | undefined;
  digest: string | undefined;
}

/** What a discriminator reads of a batch. */
interface ImageBatch {
  images: Tensor4D;
}

/** What the tokenizer's loss shares with the discriminator's. */
type Shared = Record<'reconstruction', Tensor4D>;

/** The training of a tokenizer, with a discriminator where it has one. */
export type TokenizerTask<B extends ImageBatch> = TrainingTask<B, Shared, 'discriminator'>;

/** Above the averages of the logits' means among the discriminator's parameters. */
const LECAM = 'lecam';

/** What one batch of originals and one of reconstructions leave of a discriminator's buffers. */
const KEPT: [keys: RegExp, share: number][] = [
  [/^lecam\./, LOGIT_DECAY],
  [/\.running_(mean|var)$/, (1 - BATCH_NORM_MOMENTUM) ** 2],
  [/\.weight_[uv]$/, 0],
];

/**
 * The discriminator that the options describe, which takes part from step `start` on.
 * @throws UserError for weights that are missing or of another network.
 */
export async function openCritic(
  options: FidelityOptions,
  start: number,
  random: RandomStream,
): Promise<TokenizerCritic | undefined> {
  const critic = await chosenCritic(options, random);
  if (!critic) return undefined;
  const { discWeight: weight, discAdaptive: adaptive, discLr } = options;
  const means = prefixed({ real: tf.scalar(0), fake: tf.scalar(0) }, LECAM);
  return {
    phases: {
      discriminator: {
        params: { ...critic.params, ...means },
        trains: key => !(key in means) && critic.trains(key),
        start,
        bufferRule: {
          ...movingBuffers(key => KEPT.find(([keys]) => keys.test(key))![1]),
          ahead: (params, batches) => critic.ahead?.(params, batches) ?? {},
        },
        ...(discLr === undefined ? {} : { lr: discLr }),
        loss: (params, { images }, { shared, random }) =>
          discriminate(critic, options, params, [images, shared.reconstruction], random),
      },
    },
    adversary: ({ step, phases, random: draws }) =>
      step < start
        ? undefined
        : {
            weight,
            adaptive,
            loss: images => {
              const seen = options.discAugment ? augment(images, draws.for('augment'), WEAK) : images;
              const { logits } = critic.judge(phases.discriminator, seen, { train: true, random: draws });
              return generatorLoss[options.discLoss](logits);
            },
          },
    digest: critic.digest,
  };
}

async function chosenCritic(options: FidelityOptions, random: RandomStream): Promise<Critic | undefined> {
  const { disc, discBackbone, discWidth, discLayers } = options;
  if (disc === 'none') return undefined;
  if (disc === 'patchgan') return newPatchGan(random, discWidth, discLayers);
  if (discBackbone === undefined)
    throw new UserError(
      '--disc dino: needs the weights of a DINO ViT; name them with --disc-backbone, or use patchgan',
    );
  return await openDinoCritic(discBackbone, random);
}

/** Adversarial loss, LeCam and consistency, all of the same originals and reconstructions. */
function discriminate(
  critic: Critic,
  { discLoss, discAugment, discConsistency, discWeight, lecam: lecamWeight }: FidelityOptions,
  params: Params,
  both: [images: Tensor4D, reconstructions: Tensor4D],
  random: RandomStream,
): PhaseResult {
  const changed = (how: typeof WEAK): [Tensor4D, Tensor4D] =>
    both.map((batch, i) => augment(batch, random.for('augment').at(i), how)) as [Tensor4D, Tensor4D];
  const seen = judgeBoth(critic, params, discAugment ? changed(WEAK) : both, random);
  const adversarial = discriminatorLoss[discLoss](seen.real, seen.fake);
  const means = updateLogitMeans(under(params, LECAM) as Params & LogitMeans, seen.real, seen.fake);
  const regularised =
    lecamWeight > 0 ? adversarial.add(lecam(means, seen.real, seen.fake).mul(lecamWeight)) : adversarial;
  const consistency =
    discConsistency > 0 ? inconsistency(critic, params, [both, changed(STRONG)], random) : tf.scalar(0);
  return {
    loss: regularised.mul<Scalar>(discWeight).add(consistency.mul(discConsistency)),
    metrics: { adversarial, real: seen.real.mean(), fake: seen.fake.mean(), consistency },
    buffers: { ...seen.buffers, ...prefixed({ ...means }, LECAM) },
  };
}

/** Mean squared difference of the judgments of plain and of changed images (Zhang et al. 2020). */
function inconsistency(
  critic: Critic,
  params: Params,
  [plain, strong]: [[Tensor4D, Tensor4D], [Tensor4D, Tensor4D]],
  random: RandomStream,
): Scalar {
  const [a, b] = [judgeBoth(critic, params, plain, random), judgeBoth(critic, params, strong, random)];
  return a.real.sub(b.real).square().mean<Scalar>().add(a.fake.sub(b.fake).square().mean());
}
