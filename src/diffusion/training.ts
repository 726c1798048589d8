import type { RandomStream, Scalar, Tensor } from '../engine/index.js';
import type { LossResult, Params } from '../nn/index.js';
import type { NetworkConfig } from './config.js';
import { guidanceFreePrediction } from './gft.js';
import { alignmentLoss, directionErrors, lossWeight, noisyAt, squaredErrors, targetAt } from './loss.js';
import type { Weighting } from './names.js';
import { forward, usedChannels } from './network.js';
import type { Objective } from './objective.js';
import { spatiallyNormalised } from './projectors.js';
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
  /** Share of their mean over the tokens that iREPA takes off the features; absent: they stay as they are. */
  spatialMean?: number | undefined;
  /** Weight of the early prediction's loss, where the network has one. */
  early: number;
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
  const { out, early, projected } = predict(config, params, { x, t, labels: shown }, random.for('beta'));
  const weights = Array.from(t, time => lossWeight(path, prediction, recipe.weighting, time));
  const errors = (predicted: Tensor): Fidelity => fidelity(predicted, target, weights, recipe.direction);
  const { loss: own, ...fidelities } = errors(out);
  const terms: Record<string, Scalar> = fidelities;
  let loss = own;
  if (early) {
    terms.early = errors(early).loss;
    loss = loss.add(terms.early.mul(recipe.early));
  }
  if (features && projected) {
    const { spatialMean } = recipe;
    const aim = spatialMean === undefined ? features : spatiallyNormalised(features, spatialMean);
    terms.alignment = alignmentLoss(...comparable(projected, aim));
    loss = loss.add(terms.alignment.mul(recipe.alignment));
  }
  return { loss, metrics: Object.keys(terms).length > 1 ? terms : {} };
}

type Fidelity = { loss: Scalar; denoising: Scalar } & Partial<Record<'direction', Scalar>>;

/** The error of a prediction, and what it is made of. */
function fidelity(predicted: Tensor, target: Tensor, weights: number[], weight: number): Fidelity {
  const denoising = squaredErrors(predicted, target, weights).mean<Scalar>();
  if (weight === 0) return { loss: denoising, denoising };
  const direction = directionErrors(predicted, target).mean<Scalar>();
  return { loss: denoising.add(direction.mul(weight)), denoising, direction };
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
): { out: Tensor; early?: Tensor | undefined; projected?: Tensor | undefined } {
  if (config.beta) {
    const beta = random.uniforms(input.labels.length);
    return { out: guidanceFreePrediction(config, params, { ...input, beta }).mixed };
  }
  const wanted = ['projectors.0', 'early'];
  const { prediction, activations } = forward(config, params, input, name => wanted.includes(name));
  const { early, 'projectors.0': projected } = activations as Record<string, Tensor | undefined>;
  return { out: usedChannels(config, prediction), early: early && usedChannels(config, early), projected };
}

/** Token by token where there are as many of both; else the means over tokens, which any two networks have. */
function comparable(projected: Tensor, features: Tensor): [Tensor[], Tensor[]] {
  if (projected.shape[1] === features.shape[1]) return [[projected], [features]];
  return [[projected.mean(1, true)], [features.mean(1, true)]];
}
