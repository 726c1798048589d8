import { tf, type Tensor } from '../../engine/index.js';
import type { VerifyCase } from '../case.js';
import type { HostArray } from '../../nn/index.js';
import { tensorOf } from '../../nn/layout.js';
import type { NetworkConfig } from '../../diffusion/config.js';
import { sinusoid } from '../../diffusion/embeddings.js';
import { classifierFree, type ConditionalField, type Guidance } from '../../diffusion/guidance.js';
import { directionErrors, noisyAt, squaredErrors, targetAt } from '../../diffusion/loss.js';
import { forward, usedChannels } from '../../diffusion/network.js';
import { OWN_OBJECTIVE, velocityNetwork } from '../../diffusion/objective.js';
import { dopri5, euler, type StepReport, type VelocityField } from '../../diffusion/samplers/index.js';
import { shiftTime, TIME_DRAWS, timeGrid } from '../../diffusion/times.js';
import { ditNetwork } from './architecture.js';
import { arrayOf, imageOf, labelsOf, numbersOf, recordedOnly, tokensOf, type Results } from './case.js';
import { bothHalves } from './sit-2d.js';

/* LightningDiT, recorded in two dialects. Its time is ours; it guides three channels from a time on. */

interface Architecture {
  input_size: number;
  patch_size: number;
  in_channels: number;
  hidden_size: number;
  depth: number;
  num_heads: number;
  num_classes: number;
  learn_sigma?: boolean;
  use_qknorm: boolean;
  use_swiglu: boolean;
  use_rope: boolean;
  use_rmsnorm: boolean;
  wo_shift: boolean;
}

const GUIDED_CHANNELS = 3;

const architecture = (a: Architecture): NetworkConfig =>
  ditNetwork(a, {
    learnSigma: a.learn_sigma ?? false,
    norm: a.use_rmsnorm ? 'rms' : 'layer',
    mlp: a.use_swiglu ? 'swiglu' : 'gelu',
    rope: a.use_rope,
    qkNorm: a.use_qknorm,
    shift: !a.wo_shift,
  });

const threeChannels = (scale: number, start: number): Guidance => ({
  scale,
  interval: [start, 1],
  channels: GUIDED_CHANNELS,
  rescale: 0,
});

const shifted = (points: number, shift: number): Float64Array =>
  timeGrid(points).map(t => (shift > 0 ? shiftTime(t, shift) : t));

/** Network, squared errors and direction errors of LightningDiT's training. */
function trainingResults(
  config: NetworkConfig,
  { weights }: VerifyCase,
  parts: Record<'data' | 'noise' | 'labels' | 'normals', HostArray>,
): Record<'t' | 'x' | 'target' | 'prediction' | 'squared' | 'direction', Tensor> {
  const t = numbersOf(parts.normals).map(z => TIME_DRAWS.lognormal.time(z, 'linear'));
  return tf.tidy(() => {
    const [data, noise] = [tokensOf(parts.data), tokensOf(parts.noise)];
    const x = noisyAt('linear', data, noise, t);
    const out = forward(config, weights, { x, t, labels: labelsOf(parts.labels) }).prediction;
    const prediction = usedChannels(config, out);
    const target = targetAt('linear', 'velocity', data, noise, t);
    return {
      t: tf.tensor1d(Float32Array.from(t)),
      x,
      target,
      prediction,
      squared: squaredErrors(prediction, target),
      direction: directionErrors(prediction, target),
    };
  });
}

/** States at all grid times, the start included, [points, rows, c, h, w]. */
async function trajectory(field: VelocityField, start: Tensor, times: Float64Array): Promise<Tensor> {
  const states = [start.clone()];
  const onStep = ({ x }: StepReport): void => void states.push(x.clone());
  (await euler(field, start, times, { onStep })).dispose();
  const all = tf.tidy(() => tf.stack(states.map(imageOf)));
  tf.dispose(states);
  return all;
}

/** The case among MAETok's (`in.`, `out.`). */
export async function verifyLightningDitTraces(recorded: VerifyCase): Promise<Results> {
  const { inputs, weights } = recorded;
  const settings = recorded.config as unknown as {
    steps: number;
    cfg_scale: number;
    cfg_interval_start: number;
    timestep_shift: number;
    model_args: Architecture;
  };
  const config = architecture(settings.model_args);
  const labels = labelsOf(inputs['in.y']);
  const nulls = labels.map(() => config.classes);
  const network = velocityNetwork({ config, params: weights, objective: OWN_OBJECTIVE });
  const halves = bothHalves(
    network,
    labels,
    config.classes,
    threeChannels(settings.cfg_scale, settings.cfg_interval_start),
  );
  const rowWise = (rows: Int32Array): Tensor =>
    forward(config, weights, { x: tokensOf(inputs['in.x']), t: numbersOf(inputs['in.t']), labels: rows }).prediction;
  const training = trainingResults(config, recorded, {
    data: inputs['in.x1_data'],
    noise: inputs['in.x0_noise'],
    labels: inputs['in.y'],
    normals: inputs['in.normal_for_t'],
  });
  const start = tokensOf(inputs['in.start_noise']);
  const doubled = tf.concat([start, start]);
  const plain: VelocityField = (x, t) => network(x, t, labels);
  const results = tf.tidy(() => {
    const x = tokensOf(inputs['in.x']);
    const twice = tf.concat([x, x]);
    return {
      'out.velocity': imageOf(rowWise(labels)),
      'out.velocity_null': imageOf(rowWise(nulls)),
      'out.velocity_cfg_interval_early': imageOf(halves(twice, 0.05, 0.05)),
      'out.velocity_cfg_interval_late': imageOf(halves(twice, 0.6, 0.6)),
      'out.loss': training.squared.clone(),
      'out.cos_loss': training.direction.clone(),
      'out.prediction': imageOf(training.prediction),
    };
  });
  const traces: Results = {
    'out.traj_euler_noshift': await trajectory(plain, start, shifted(settings.steps, 0)),
    'out.traj_euler_shift': await trajectory(plain, start, shifted(settings.steps, settings.timestep_shift)),
    'out.traj_euler_shift_cfg': await trajectory(halves, doubled, shifted(settings.steps, settings.timestep_shift)),
  };
  tf.dispose([start, doubled, ...Object.values(training)]);
  return recordedOnly(recorded, { ...results, ...traces });
}

interface LightningDitCase {
  parameters: Architecture;
  guidance: { cfg_scale: number; cfg_interval_start: number; t_used: Record<string, number> };
  sampler: {
    num_grid_points: number;
    timestep_shift: number;
    dopri5: { grid_points: number; atol: number; rtol: number };
  };
  latent_normalisation: { latent_multiplier: number };
}

/** LightningDiT's own cases (`input.`, `mid.`, `output.`). */
export async function verifyLightningDit(recorded: VerifyCase): Promise<Results> {
  const settings = recorded.config as unknown as LightningDitCase;
  const config = architecture(settings.parameters);
  return recordedOnly(recorded, {
    ...activationResults(recorded, config),
    ...guidedResults(recorded, settings, config),
    ...lossResults(recorded, config),
    ...(await sampledResults(recorded, settings, config)),
  });
}

function activationResults({ inputs, weights }: VerifyCase, config: NetworkConfig): Results {
  const t = numbersOf(inputs['input.t']);
  return tf.tidy(() => {
    const x = tokensOf(inputs['input.x']);
    const labels = labelsOf(inputs['input.y']);
    const { prediction, activations } = forward(config, weights, { x, t, labels }, () => true);
    const blocks = Array.from({ length: config.depth }, (_, i) => [`mid.block${i}`, activations[`blocks.${i}`]]);
    return {
      ...(Object.fromEntries(blocks) as Record<string, Tensor>),
      'mid.patch_embed_plus_pos': activations.embed,
      'mid.t_freq': sinusoid(t, 256),
      'mid.t_embed': activations.t_embed,
      'mid.y_embed': activations.y_embed,
      'output.velocity': imageOf(usedChannels(config, prediction)),
    };
  });
}

function guidedResults(
  { inputs, weights }: VerifyCase,
  { guidance }: LightningDitCase,
  config: NetworkConfig,
): Results {
  const labels = labelsOf(inputs['input.y']);
  const network = velocityNetwork({ config, params: weights, objective: OWN_OBJECTIVE });
  return tf.tidy(() => {
    const x = tokensOf(inputs['input.x']);
    const at = (name: string, start: number): Tensor => {
      const t = guidance.t_used[name];
      const field = bothHalves(network, labels, config.classes, threeChannels(guidance.cfg_scale, start));
      return imageOf(field(tf.concat([x, x]), t, t));
    };
    return {
      'output.cfg_no_interval': at('cfg_no_interval', 0),
      'output.cfg_inside': at('cfg_inside', guidance.cfg_interval_start),
      'output.cfg_below_start': at('cfg_below_start', guidance.cfg_interval_start),
    };
  });
}

function lossResults(recorded: VerifyCase, config: NetworkConfig): Results {
  const { inputs } = recorded;
  const parts = trainingResults(config, recorded, {
    data: inputs['input.loss_data'],
    noise: inputs['input.loss_noise'],
    labels: inputs['input.loss_y'],
    normals: inputs['input.lognorm_normals'],
  });
  const results = tf.tidy(() => ({
    'output.loss_xt': imageOf(parts.x),
    'output.loss_ut': imageOf(parts.target),
    'output.loss_pred': imageOf(parts.prediction),
    'output.loss_mse_per_sample': parts.squared.clone(),
    'output.loss_cos_per_sample': parts.direction.clone(),
    'output.loss_total': parts.squared.mean().add<Tensor>(parts.direction.mean()),
  }));
  tf.dispose(Object.values(parts));
  return results;
}

async function sampledResults(
  { inputs, weights }: VerifyCase,
  { guidance, sampler, latent_normalisation }: LightningDitCase,
  config: NetworkConfig,
): Promise<Results> {
  const labels = labelsOf(inputs['input.y']);
  const network: ConditionalField = velocityNetwork({ config, params: weights, objective: OWN_OBJECTIVE });
  const guided = classifierFree(
    network,
    labels,
    config.classes,
    threeChannels(guidance.cfg_scale, guidance.cfg_interval_start),
  );
  const plain: VelocityField = (x, t) => network(x, t, labels);
  const times = shifted(sampler.num_grid_points, sampler.timestep_shift);
  const start = tokensOf(inputs['input.x']);
  const adaptive = dopri5({ atol: sampler.dopri5.atol, rtol: sampler.dopri5.rtol });
  const guidedSample = await euler(guided, start, times);
  const samples = {
    'output.euler_plain_final': await euler(plain, start, shifted(sampler.num_grid_points, 0)),
    'output.euler_cfg_step1': await euler(guided, start, times.slice(0, 2)),
    'output.euler_cfg_final': guidedSample,
    'output.dopri5_plain_final': await adaptive(plain, start, timeGrid(sampler.dopri5.grid_points)),
  };
  const results = tf.tidy(() => ({
    ...Object.fromEntries(Object.entries(samples).map(([name, x]) => [name, imageOf(x)])),
    'output.denormalised_sample': imageOf(guidedSample)
      .mul(tensorOf(inputs['input.latent_std']).div(latent_normalisation.latent_multiplier))
      .add<Tensor>(tensorOf(inputs['input.latent_mean'])),
  }));
  tf.dispose([start, ...Object.values(samples)]);
  return { ...results, 'output.euler_time_grid': arrayOf(times) };
}
