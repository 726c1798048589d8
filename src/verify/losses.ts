import { normalCdf, normalDensity } from '../statistics/normal.js';
import { tf, type Tensor, type Tensor4D } from '../engine/index.js';
import type { VerifiedSystem, VerifyCase } from './case.js';
import { channelsFirst, channelsLast, type HostArray } from '../nn/index.js';
import { tensorOf } from '../nn/layout.js';
import {
  adaptiveWeight,
  discriminatorLoss,
  generatorLoss,
  lecam,
  rampUp,
  updateLogitMeans,
} from '../tokenizers/losses/index.js';
import { brightness, contrast, cutout, saturation, translate } from '../tokenizers/losses/augment.js';
import { started } from '../tokenizers/losses/adversarial.js';
import { maskedCount, maskRatio, PUBLISHED_RATIO } from '../tokenizers/vit/index.js';
import { learningRate } from '../training/schedule.js';

type Results = Record<string, HostArray | Tensor>;

/** The loss terms, augmentations, schedules and mask ratios of MAETok's training. */
export const lossSystem: VerifiedSystem = {
  name: 'losses',
  recognises: ({ kind }) => kind === 'losses',
  verify: recorded =>
    Promise.resolve({
      ...adversarialTerms(recorded),
      ...lecamTerms(recorded),
      ...adaptiveTerms(recorded),
      ...pixelTerms(recorded),
      ...augmentations(recorded),
      ...schedules(recorded),
      ...maskRatios(recorded),
    }),
};

const input = ({ inputs }: VerifyCase, name: string): Tensor => tensorOf(inputs[`in.${name}`]);
const numbers = (values: number[]): HostArray => ({ shape: [values.length], data: values });

function adversarialTerms(recorded: VerifyCase): Results {
  const [real, fake] = [input(recorded, 'logits_real'), input(recorded, 'logits_fake')];
  return {
    'out.disc_hinge': discriminatorLoss.hinge(real, fake),
    'out.disc_vanilla': discriminatorLoss['non-saturating'](real, fake),
    'out.gen_hinge': generatorLoss.hinge(fake),
    // As the authors wrote them, with cross-entropy's input and target swapped: good for nothing but this comparison.
    'out.disc_non_saturating': swappedEntropy(1, real).add(swappedEntropy(0, fake)).mul(0.5),
    'out.gen_non_saturating': swappedEntropy(1, fake),
  };
}

/** Binary cross-entropy of the logit `input` against `target`. */
const swappedEntropy = (logit: number, target: Tensor): Tensor =>
  target
    .mul(-logit)
    .add(Math.max(logit, 0) - Math.max(-logit, 0) + Math.log1p(Math.exp(-Math.abs(logit))))
    .mean();

function lecamTerms(recorded: VerifyCase): Results {
  const [real, fake] = ['seq_real', 'seq_fake'].map(name => tf.unstack(input(recorded, name)));
  let means = { real: tf.scalar(0) as Tensor, fake: tf.scalar(0) as Tensor };
  const seen = real.map((logits, i) => {
    means = updateLogitMeans(means, logits, fake[i]);
    return { ...means, penalty: lecam(means, logits, fake[i]) };
  });
  return {
    'out.lecam_real_ema': tf.stack(seen.map(({ real }) => real)),
    'out.lecam_fake_ema': tf.stack(seen.map(({ fake }) => fake)),
    'out.lecam_reg': tf.stack(seen.map(({ penalty }) => penalty)),
  };
}

/** A last layer W between features and two losses. */
function adaptiveTerms(recorded: VerifyCase): Results {
  const [features, target] = [input(recorded, 'feat'), input(recorded, 'target')];
  const critic = input(recorded, 'critic').reshape([-1, 1]);
  const output = (w: Tensor): Tensor => tf.matMul(features, w, false, true);
  const nll = (w: Tensor): Tensor => output(w).sub(target).square().mean();
  const gen = (w: Tensor): Tensor =>
    tf
      .matMul(tf.tanh(output(w)) as never, critic as never)
      .mean()
      .neg();
  const last = input(recorded, 'last_w');
  return {
    'out.adaptive_nll': nll(last),
    'out.adaptive_gen': gen(last),
    'out.adaptive_weight': adaptiveWeight(tf.grad(nll)(last), tf.grad(gen)(last)),
  };
}

function pixelTerms(recorded: VerifyCase): Results {
  const difference = input(recorded, 'image').sub(input(recorded, 'recon'));
  return { 'out.mse': difference.square().mean(), 'out.l1': difference.abs().mean() };
}

function augmentations(recorded: VerifyCase): Results {
  const images = channelsLast(input(recorded, 'image')) as Tensor4D;
  const draws = (name: string): number[] => Array.from(recorded.inputs[`in.${name}`].data, Number);
  const changed: Record<string, Tensor> = {
    brightness: brightness(images, draws('brightness_u')),
    saturation: saturation(images, draws('saturation_u')),
    contrast: contrast(images, draws('contrast_u')),
    translation: translate(images, draws('translate_x'), draws('translate_y')),
    cutout02: cutout(images, 0.2, draws('cutout02_x'), draws('cutout02_y')),
    cutout05: cutout(images, 0.5, draws('cutout05_x'), draws('cutout05_y')),
  };
  return Object.fromEntries(Object.entries(changed).map(([name, x]) => [`out.aug_${name}`, channelsFirst(x)]));
}

interface ScheduleConfig {
  lr: number;
  updates_per_epoch: number;
  epochs: number;
  warmup_epochs: number;
}

function schedules({ config, recorded }: VerifyCase): Results {
  const { lr, updates_per_epoch: perEpoch, epochs, warmup_epochs: warmup } = config as unknown as ScheduleConfig;
  const schedule = {
    lr,
    schedule: 'cosine' as const,
    warmup: warmup * perEpoch,
    warmupLr: 1e-5,
    finalLr: 0.1,
    steps: epochs * perEpoch,
  };
  const steps = Object.hasOwn(recorded, 'out.lr_used_at_step') ? recorded['out.lr_used_at_step'].data.length : 0;
  return {
    'out.lr_used_at_step': numbers(Array.from({ length: steps }, (_, step) => learningRate(schedule, step))),
    'out.perceptual_warmup_weight': numbers([0, 1, 2500, 9999, 10000, 20000].map(step => rampUp(step, 10000))),
    'out.disc_start_weight': numbers([0, 29999, 30000, 30001].map(step => 0.4 * started(step, 30000))),
  };
}

function maskRatios({ config }: VerifyCase): Results {
  const { token_drop: min, token_drop_max: max } = config as unknown as { token_drop: number; token_drop_max: number };
  const ratio = { min, max, std: PUBLISHED_RATIO.std };
  const quantiles = Array.from({ length: 11 }, (_, i) => maskRatio(ratio, i / 10));
  const start = (min - max) / ratio.std;
  // Mean of a normal cut to [start, 0] standard deviations.
  const mean = max + (ratio.std * (normalDensity(start) - normalDensity(0))) / (0.5 - normalCdf(start));
  return {
    'out.mask_ratio_quantile': numbers(quantiles),
    'out.mask_ratio_mean': numbers([mean]),
    'out.mask_count_at_quantile_for_256': numbers(quantiles.map(share => maskedCount(share, 256))),
  };
}
