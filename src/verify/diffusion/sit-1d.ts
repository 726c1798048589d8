import { tf, type Tensor } from '../../engine/index.js';
import type { VerifyCase } from '../case.js';
import type { HostArray } from '../../nn/index.js';
import { tensorOf } from '../../nn/layout.js';
import { networkSchema, type NetworkConfig } from '../../diffusion/config.js';
import { sinusoid, timeEmbedding } from '../../diffusion/embeddings.js';
import { classifierFree } from '../../diffusion/guidance.js';
import { noisyAt, squaredErrors, targetAt } from '../../diffusion/loss.js';
import type { PathName, TimeDistribution } from '../../diffusion/names.js';
import { forward } from '../../diffusion/network.js';
import { velocityNetwork, type Objective } from '../../diffusion/objective.js';
import { PATHS } from '../../diffusion/paths.js';
import { positionTable } from '../../diffusion/positions.js';
import { scoreFromVelocity } from '../../diffusion/predictions.js';
import { euler, heun, sde } from '../../diffusion/samplers/index.js';
import { TIME_DRAWS, timeGrid } from '../../diffusion/times.js';
import { arrayOf, labelsOf, numbersOf, recordedOnly, sliceOf, type Results } from './case.js';
import { gradients, trainingStep } from './step.js';
import { traced } from './trace.js';

/* MAETok's SiT on a line of tokens. Its time u runs from data (0) to noise (1). */

interface Sit1dCase {
  steps: number;
  cfg_scale: number;
  vq_mean: number;
  vq_std: number;
  model_args: {
    input_size: number;
    in_channels: number;
    hidden_size: number;
    depth: number;
    num_heads: number;
    num_classes: number;
    qk_norm: boolean;
  };
  samplers: Record<string, { sampler: string; args: SamplerArgs }>;
  grad_norms_order: string[];
}

interface SamplerArgs {
  heun?: boolean;
  cfg_scale: number;
  guidance_low?: number;
  guidance_high?: number;
  path_type: PathName;
}

const MAETOK: Objective = { path: 'linear', prediction: 'velocity', time: 'data-to-noise', timeScale: 1 };
const LAST_TIME = 0.04;

function architecture({ model_args: a }: Sit1dCase): NetworkConfig {
  return networkSchema.parse({
    tokens: a.input_size,
    channels: a.in_channels,
    patch: 1,
    width: a.hidden_size,
    depth: a.depth,
    heads: a.num_heads,
    mlpRatio: 4,
    classes: a.num_classes,
    learnSigma: false,
    norm: 'layer',
    mlp: 'gelu',
    rope: false,
    qkNorm: a.qk_norm,
    shift: true,
    beta: false,
  });
}

export async function verifySit1d(recorded: VerifyCase): Promise<Results> {
  const settings = recorded.config as unknown as Sit1dCase;
  const config = architecture(settings);
  return recordedOnly(recorded, {
    ...forwardResults(recorded, settings, config),
    ...lossResults(recorded, config),
    ...stepResults(recorded, settings, config),
    ...(await sampledResults(recorded, settings, config)),
  });
}

function forwardResults({ weights, inputs }: VerifyCase, settings: Sit1dCase, config: NetworkConfig): Results {
  const t = numbersOf(inputs['in.t']);
  const labels = labelsOf(inputs['in.y']);
  const nulls = labels.map(() => config.classes);
  return tf.tidy(() => {
    const x = tensorOf(inputs['in.x']);
    const conditional = forward(config, weights, { x, t, labels }, name => name === 'blocks.1');
    const { prediction: velocity } = conditional;
    const { prediction: unconditional } = forward(config, weights, { x, t, labels: nulls });
    const score = (path: PathName): Tensor => {
      // Row by row, since each has its own time; inner velocity is minus theirs.
      const rows = Array.from(t, (u, i) => {
        const { output, x: weight } = scoreFromVelocity(PATHS[path](1 - u));
        const at = (all: Tensor): Tensor => all.slice(i, 1);
        return at(velocity).mul(-output).add(at(x).mul(weight));
      });
      return tf.concat(rows);
    };
    return {
      'out.velocity': velocity,
      'out.velocity_null': unconditional,
      'out.velocity_cfg': unconditional.add(velocity.sub(unconditional).mul(settings.cfg_scale)),
      'out.mid_features_after_block2': conditional.activations['blocks.1'],
      'out.t_sinusoid': sinusoid(numbersOf(inputs['in.t_grid']), 256),
      'out.t_embedding': timeEmbedding(config, weights, t),
      'out.pos_embed_formula': tf.tensor(positionTable(config), [config.tokens, config.width]),
      'out.score_from_velocity_linear': score('linear'),
      'out.score_from_velocity_cosine': score('cosine'),
      'out.latent_normalised': tensorOf(inputs['in.latent_raw']).sub(settings.vq_mean).div(settings.vq_std),
    };
  });
}

/** Their times of the draws that the case recorded. */
function theirTimes({ inputs }: VerifyCase, path: PathName, distribution: TimeDistribution): Float64Array {
  const { from, time } = TIME_DRAWS[distribution];
  return numbersOf(inputs[from === 'uniforms' ? 'in.t_uniform' : 'in.normal_for_t']).map(value => time(value, path));
}

function lossResults(recorded: VerifyCase, config: NetworkConfig): Results {
  const { weights, inputs } = recorded;
  const results: Results = {};
  for (const path of ['linear', 'cosine'] as const) {
    for (const distribution of ['uniform', 'lognormal'] as const) {
      const u = theirTimes(recorded, path, distribution);
      const named = `${path}_${distribution}`;
      results[`out.t_${named}`] = arrayOf(u);
      const [xt, loss] = tf.tidy(() => losses(config, weights, inputs, path, u));
      results[`out.xt_${named}`] = xt;
      results[`out.loss_${named}`] = loss;
    }
  }
  return results;
}

function losses(
  config: NetworkConfig,
  params: VerifyCase['weights'],
  inputs: Record<string, HostArray>,
  path: PathName,
  u: Float64Array,
): [xt: Tensor, loss: Tensor] {
  const [data, noise] = [tensorOf(inputs['in.x0_data']), tensorOf(inputs['in.noise'])];
  const t = u.map(time => 1 - time);
  const x = noisyAt(path, data, noise, t);
  const { prediction } = forward(config, params, { x, t: u, labels: labelsOf(inputs['in.y']) });
  return [x, squaredErrors(prediction.neg(), targetAt(path, 'velocity', data, noise, t))];
}

function stepResults(recorded: VerifyCase, settings: Sit1dCase, config: NetworkConfig): Results {
  const { weights, inputs } = recorded;
  const u = theirTimes(recorded, 'linear', 'lognormal');
  const { value, grads } = gradients(weights, () => losses(config, weights, inputs, 'linear', u)[1].mean());
  const results = trainingStep(weights, grads, settings.grad_norms_order);
  results['out.train_loss'] = tf.tidy(() => value.reshape([1]));
  value.dispose();
  return results;
}

async function sampledResults(recorded: VerifyCase, settings: Sit1dCase, config: NetworkConfig): Promise<Results> {
  const { weights, inputs } = recorded;
  const labels = labelsOf(inputs['in.y']);
  const start = tensorOf(inputs['in.start_noise']);
  const results: Results = {};
  for (const [name, { sampler, args }] of Object.entries(settings.samplers)) {
    const { network, states, times } = traced(velocityNetwork({ config, params: weights, objective: MAETOK }));
    const field = classifierFree(network, labels, config.classes, {
      scale: args.cfg_scale,
      interval: [1 - (args.guidance_high ?? 1), 1 - (args.guidance_low ?? 0)],
      rescale: 0,
    });
    const maruyama = sde({
      path: PATHS[args.path_type],
      form: 'linear',
      noise: step => tensorOf(sliceOf(inputs['in.sde_noise'], step)),
    });
    const ode = args.heun ? heun : euler;
    results[`out.sample_${name}`] =
      sampler === 'euler'
        ? await ode(field, start, timeGrid(settings.steps + 1))
        : await maruyama(field, start, [...timeGrid(settings.steps, 0, 1 - LAST_TIME), 1]);
    results[`out.states_${name}`] = states(labels.length);
    results[`out.times_${name}`] = arrayOf(numbersOf(times()).map(t => 1 - t));
  }
  start.dispose();
  return results;
}
