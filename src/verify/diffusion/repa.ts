import { tf, type Tensor } from '../../engine/index.js';
import type { VerifyCase } from '../case.js';
import { tensorOf } from '../../nn/layout.js';
import type { NetworkConfig } from '../../diffusion/config.js';
import { classifierFree, NO_GUIDANCE, type Guidance } from '../../diffusion/guidance.js';
import { alignmentLoss, cosine, noisyAt, squaredErrors, targetAt } from '../../diffusion/loss.js';
import type { PathName, TimeDistribution } from '../../diffusion/names.js';
import { forward } from '../../diffusion/network.js';
import { velocityNetwork, type Objective } from '../../diffusion/objective.js';
import { PATHS } from '../../diffusion/paths.js';
import { euler, heun, sde, type Sampler } from '../../diffusion/samplers/index.js';
import { TIME_DRAWS, timeGrid } from '../../diffusion/times.js';
import { ditNetwork } from './architecture.js';
import { arrayOf, imageOf, labelsOf, numbersOf, recordedOnly, sliceOf, tokensOf, type Results } from './case.js';

/* REPA's SiT. Its time u runs from data (0) to noise (1); guidance covers all channels. */

interface RepaCase {
  path_type: PathName;
  weighting: TimeDistribution;
  proj_coeff: number;
  parameters: {
    input_size: number;
    patch_size: number;
    in_channels: number;
    hidden_size: number;
    encoder_depth: number;
    depth: number;
    num_heads: number;
    projector_dim: number;
    num_classes: number;
    qk_norm: boolean;
    z_dims: number[];
  };
  samplers: { num_steps: number; cfg_scale: number; guidance_low: number; guidance_high: number };
}

const REPA: Objective = { path: 'linear', prediction: 'velocity', time: 'data-to-noise', timeScale: 1 };
const LAST_TIME = 0.04;

const architecture = ({ parameters: p }: RepaCase): NetworkConfig =>
  ditNetwork(p, {
    qkNorm: p.qk_norm,
    projectors: { after: p.encoder_depth, width: p.projector_dim, features: p.z_dims },
  });

export async function verifyRepa(recorded: VerifyCase): Promise<Results> {
  const settings = recorded.config as unknown as RepaCase;
  const config = architecture(settings);
  return recordedOnly(recorded, {
    ...forwardResults(recorded, config),
    ...alignmentResults(recorded),
    ...lossResults(recorded, settings, config),
    ...(await sampledResults(recorded, settings, config)),
  });
}

const isProjection = (name: string): boolean => name.startsWith('projectors.');

function forwardResults({ inputs, weights }: VerifyCase, config: NetworkConfig): Results {
  return tf.tidy(() => {
    const x = tokensOf(inputs['input.x']);
    const at = { t: numbersOf(inputs['input.t']), labels: labelsOf(inputs['input.y']) };
    const { prediction, activations } = forward(config, weights, { x, ...at }, isProjection);
    const projected = Object.values(activations).map((features, k) => [`output.projected${k}`, features]);
    return { 'output.velocity': imageOf(prediction), ...(Object.fromEntries(projected) as Record<string, Tensor>) };
  });
}

function alignmentResults({ inputs }: VerifyCase): Results {
  return tf.tidy(() => {
    const [projected, features] = ['projected', 'features'].map(part => tensorOf(inputs[`input.align_${part}`]));
    return {
      'output.align_cosine_per_token': cosine(projected, features),
      'output.align_loss': alignmentLoss([projected], [features]),
    };
  });
}

function lossResults({ inputs, weights }: VerifyCase, settings: RepaCase, config: NetworkConfig): Results {
  const u = numbersOf(inputs['input.loss_rng']).map(value =>
    TIME_DRAWS[settings.weighting].time(value, settings.path_type),
  );
  const t = u.map(time => 1 - time);
  return tf.tidy(() => {
    const [data, noise] = [tokensOf(inputs['input.loss_data']), tokensOf(inputs['input.loss_noise'])];
    const x = noisyAt(settings.path_type, data, noise, t);
    const labels = labelsOf(inputs['input.loss_y']);
    const { prediction, activations } = forward(config, weights, { x, t: u, labels }, isProjection);
    const errors = squaredErrors(prediction.neg(), targetAt(settings.path_type, 'velocity', data, noise, t));
    const features = Object.entries(inputs)
      .filter(([name]) => /^input\.features\d+$/.test(name))
      .map(([, recorded]) => tensorOf(recorded));
    const aligned: Tensor = alignmentLoss(Object.values(activations), features);
    return {
      'output.loss_t': arrayTensor(u),
      'output.loss_xt': imageOf(x),
      'output.denoising_loss_per_sample': errors,
      'output.projection_loss': aligned,
      'output.total_loss': errors.mean().add<Tensor>(aligned.mul(settings.proj_coeff)),
    };
  });
}

const arrayTensor = (values: Float64Array): Tensor => tensorOf(arrayOf(values));

async function sampledResults(
  { inputs, weights }: VerifyCase,
  { samplers, path_type }: RepaCase,
  config: NetworkConfig,
): Promise<Results> {
  const { num_steps: steps, cfg_scale: scale, guidance_low: low, guidance_high: high } = samplers;
  const labels = labelsOf(inputs['input.y']);
  const network = velocityNetwork({ config, params: weights, objective: REPA });
  const guided: Guidance = { scale, interval: [1 - high, 1 - low], rescale: 0 };
  const maruyama = sde({
    path: PATHS[path_type],
    form: 'linear',
    noise: step => tokensOf(sliceOf(inputs['input.sde_noise'], step)),
  });
  const ode = timeGrid(steps + 1);
  const runs: Record<string, [Sampler, Guidance, ArrayLike<number>]> = {
    'output.ode_euler': [euler, NO_GUIDANCE, ode],
    'output.ode_euler_cfg': [euler, guided, ode],
    'output.ode_heun_cfg': [heun, guided, ode],
    'output.sde_euler_maruyama_cfg': [maruyama, guided, [...timeGrid(steps, 0, 1 - LAST_TIME), 1]],
  };
  const start = tokensOf(inputs['input.x']);
  const results: Results = {};
  for (const [name, [sampler, guidance, times]] of Object.entries(runs)) {
    const sample = await sampler(classifierFree(network, labels, config.classes, guidance), start, times);
    results[name] = imageOf(sample);
    sample.dispose();
  }
  start.dispose();
  return results;
}
