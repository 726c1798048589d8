import type { RandomStream, Scalar, Tensor } from '../engine/index.js';
import type { LossResult, Params } from '../nn/index.js';
import type { NetworkConfig } from './config.js';
import { guidanceFreePrediction } from './gft.js';
import { alignmentLoss, directionErrors, lossWeight, noisyAt, squaredErrors, targetAt } from './loss.js';
import type { Weighting } from './names.js';
import { forward, usedChannels } from './network.js';
import type { Objective } from './objective.js';
import { drawTimes, type TrainingTimes } from './times.js';

/** How a diffusion model is trained. Time runs from noise to data. */
export interface Recipe {
  objective: Objective;
  weighting: Weighting;
  times: TrainingTimes;
  /** Weight of LightningDiT's direction term; 0: none. */
  direction: number;
  /** Share of labels that become the null class. */
  labelDropout: number;
  /** Weight of REPA's alignment; needs `projectors` and features. */
  alignment: number;
}

export interface DiffusionBatch {
  /** Normalised latents [n, tokens, channels]. */
  data: Tensor;
  labels: Int32Array;
  /** A frozen encoder's features of the same images, [n, t, features]. */
  features?: Tensor | undefined;
}

/** Where noise, data or score are predicted, time keeps this far from both ends, at one of which they are undefined. */
const MARGIN = 1e-3;

/**
 * The loss of one batch; all its draws come from `random`. `guidanceFree` follows from the network: one that takes the
 * guidance scale is trained with it.
 */
export function trainingLoss(
  config: NetworkConfig,
  params: Params,
  { data, labels, features }: DiffusionBatch,
  recipe: Recipe,
  random: RandomStream,
): LossResult {
  const { path, prediction } = recipe.objective;
  const rows = labels.length;
  const noise = random.for('noise').normalTensor(data.shape);
  const t = trainingTimes(recipe, random.for('time'), rows);
  const shown = droppedLabels(labels, config.classes, recipe.labelDropout, random.for('dropout'));
  const x = noisyAt(path, data, noise, t);
  const target = targetAt(path, prediction, data, noise, t);
  const { out, projected } = predict(config, params, { x, t, labels: shown }, random.for('beta'));
  const weights = Array.from(t, time => lossWeight(path, prediction, recipe.weighting, time));
  const terms: Record<string, Scalar> = { denoising: squaredErrors(out, target, weights).mean() };
  let loss = terms.denoising;
  if (recipe.direction > 0) {
    terms.direction = directionErrors(out, target).mean();
    loss = loss.add(terms.direction.mul(recipe.direction));
  }
  if (features && projected) {
    terms.alignment = alignmentLoss(...comparable(projected, features));
    loss = loss.add(terms.alignment.mul(recipe.alignment));
  }
  return { loss, metrics: Object.keys(terms).length > 1 ? terms : {} };
}

function trainingTimes({ objective, times }: Recipe, random: RandomStream, rows: number): Float64Array {
  const t = drawTimes(times, objective.path, random, rows);
  return objective.prediction === 'velocity' ? t : t.map(time => Math.min(Math.max(time, MARGIN), 1 - MARGIN));
}

function droppedLabels(labels: Int32Array, nullLabel: number, share: number, random: RandomStream): Int32Array {
  const uniforms = random.uniforms(labels.length);
  return labels.map((label, i) => (uniforms[i] < share ? nullLabel : label));
}

function predict(
  config: NetworkConfig,
  params: Params,
  input: { x: Tensor; t: Float64Array; labels: Int32Array },
  random: RandomStream,
): { out: Tensor; projected?: Tensor | undefined } {
  if (config.beta) {
    const beta = random.uniforms(input.labels.length);
    return { out: guidanceFreePrediction(config, params, { ...input, beta }).mixed };
  }
  const { prediction, activations } = forward(config, params, input, name => name === 'projectors.0');
  return { out: usedChannels(config, prediction), projected: activations['projectors.0'] };
}

/** Token by token where there are as many of both; else the means over tokens, which any two networks have. */
function comparable(projected: Tensor, features: Tensor): [Tensor[], Tensor[]] {
  if (projected.shape[1] === features.shape[1]) return [[projected], [features]];
  return [[projected.mean(1, true)], [features.mean(1, true)]];
}
