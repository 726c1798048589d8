import { UserError } from '../../../base/index.js';
import { tf, type RandomStream, type Scalar, type Tensor, type Tensor4D } from '../../../engine/index.js';
import {
  augment,
  discriminatorLoss,
  generatorLoss,
  judgeBoth,
  lecam,
  newPatchGan,
  openDinoCritic,
  STRONG,
  updateLogitMeans,
  WEAK,
  type Critic,
} from '../../../tokenizers/losses/index.js';
import type { Adversary, VitBatch } from '../../../tokenizers/vit/index.js';
import type { LossContext, Phase, PhaseResult } from '../../../training/index.js';
import type { VitTrainingOptions } from './options.js';

/** A discriminator in a run: what trains it, and what it says to the tokenizer. */
export interface VitCritic {
  phase: Phase<VitBatch>;
  /** From its first step on. */
  adversary(context: LossContext): Adversary | undefined;
  digest: string | undefined;
}

const DISCRIMINATOR = 'discriminator';

/** Under these names the discriminator's phase finds what the tokenizer made of the batch. */
export const RECONSTRUCTION = 'reconstruction';

const LOGIT_MEANS = ['lecam.real', 'lecam.fake'];

/** The discriminator that the options describe. @throws UserError for weights that are missing or of another network. */
export async function openVitCritic(options: VitTrainingOptions, random: RandomStream): Promise<VitCritic | undefined> {
  const critic = await chosenCritic(options, random);
  if (!critic) return undefined;
  const { discWeight: weight, discAdaptive: adaptive, discLr } = options;
  const start = options.discStart ?? (options.preset === 'tiny' ? 0 : PUBLISHED_START);
  const means = Object.fromEntries(LOGIT_MEANS.map(name => [name, tf.scalar(0)]));
  return {
    phase: {
      name: DISCRIMINATOR,
      params: { ...critic.params, ...means },
      trains: key => !LOGIT_MEANS.includes(key) && critic.trains(key),
      start,
      ...(discLr === undefined ? {} : { lr: discLr }),
      loss: (params, { images }, context) => discriminate(critic, options, params, images, context),
    },
    adversary: ({ step, phases, random: draws }) =>
      step < start
        ? undefined
        : {
            weight,
            adaptive,
            loss: images => {
              const seen = options.discAugment ? augment(images, draws.for('augment'), WEAK) : images;
              return generatorLoss[options.discLoss](
                critic.judge(phases[DISCRIMINATOR], seen, { train: true, random: draws }).logits,
              );
            },
          },
    digest: critic.digest,
  };
}

const PUBLISHED_START = 30_000;

async function chosenCritic(options: VitTrainingOptions, random: RandomStream): Promise<Critic | undefined> {
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
  { discLoss, discAugment, discConsistency, discWeight, lecam: lecamWeight }: VitTrainingOptions,
  params: Record<string, Tensor>,
  images: Tensor4D,
  { shared, random }: LossContext,
): PhaseResult {
  const both: [Tensor4D, Tensor4D] = [images, shared[RECONSTRUCTION] as Tensor4D];
  const changed = (how: typeof WEAK): [Tensor4D, Tensor4D] =>
    both.map((pictures, i) => augment(pictures, random.for('augment').at(i), how)) as [Tensor4D, Tensor4D];
  const seen = judgeBoth(critic, params, discAugment ? changed(WEAK) : both, random);
  const adversarial = discriminatorLoss[discLoss](seen.real, seen.fake);
  const means = updateLogitMeans({ real: params['lecam.real'], fake: params['lecam.fake'] }, seen.real, seen.fake);
  const regularised =
    lecamWeight > 0 ? adversarial.add(lecam(means, seen.real, seen.fake).mul(lecamWeight)) : adversarial;
  const consistency =
    discConsistency > 0 ? inconsistency(critic, params, [both, changed(STRONG)], random) : tf.scalar(0);
  return {
    loss: regularised.mul<Scalar>(discWeight).add(consistency.mul(discConsistency)),
    metrics: { adversarial, real: seen.real.mean(), fake: seen.fake.mean(), consistency },
    buffers: { ...seen.buffers, 'lecam.real': means.real, 'lecam.fake': means.fake },
  };
}

/** Mean squared difference of the judgments of plain and of changed images (Zhang et al. 2020). */
function inconsistency(
  critic: Critic,
  params: Record<string, Tensor>,
  [plain, strong]: [[Tensor4D, Tensor4D], [Tensor4D, Tensor4D]],
  random: RandomStream,
): Scalar {
  const [a, b] = [judgeBoth(critic, params, plain, random), judgeBoth(critic, params, strong, random)];
  return a.real.sub(b.real).square().mean<Scalar>().add(a.fake.sub(b.fake).square().mean());
}
