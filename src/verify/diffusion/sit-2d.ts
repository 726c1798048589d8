import { tf, type Tensor } from '../../engine/index.js';
import type { VerifyCase } from '../case.js';
import type { NetworkConfig } from '../../diffusion/config.js';
import { isGuided, mix, type ConditionalField, type Guidance } from '../../diffusion/guidance.js';
import { lossWeight, noisyAt, squaredErrors, targetAt } from '../../diffusion/loss.js';
import { forward, usedChannels } from '../../diffusion/network.js';
import type { DiffusionForm, LastStep, PathName, PredictionName, Weighting } from '../../diffusion/names.js';
import { velocityNetwork, type Objective } from '../../diffusion/objective.js';
import { PATHS } from '../../diffusion/paths.js';
import { positionTable } from '../../diffusion/positions.js';
import {
  dopri5,
  euler,
  midpoint,
  rk4,
  sde,
  type Sampler,
  type StepReport,
  type VelocityField,
} from '../../diffusion/samplers/index.js';
import { heunStep } from '../../diffusion/samplers/heun.js';
import { rungeKutta } from '../../diffusion/samplers/runge-kutta.js';
import { timeGrid } from '../../diffusion/times.js';
import { ditNetwork } from './architecture.js';
import { arrayOf, imageOf, labelsOf, numbersOf, recordedOnly, sliceOf, tokensOf, type Results } from './case.js';

/* The official SiT on a grid. Its time is ours. */

interface Sit2dCase {
  cfg_scale: number;
  model_args: {
    input_size: number;
    patch_size: number;
    in_channels: number;
    hidden_size: number;
    depth: number;
    num_heads: number;
    num_classes: number;
    learn_sigma: boolean;
  };
  samplers: Record<string, { path: string; prediction: PredictionName; mode: 'ode' | 'sde'; args: SamplerArgs }>;
}

interface SamplerArgs {
  sampling_method: string;
  num_steps: number;
  atol?: number;
  rtol?: number;
  reverse?: boolean;
  diffusion_form?: string;
  diffusion_norm?: number;
  last_step?: string;
  last_step_size?: number;
}

const PATH_NAMES: Record<string, PathName> = { linear: 'linear', gvp: 'cosine', vp: 'vp' };
/** Margin at the ends of the path that SiT keeps in training and in sampling. */
const TRAIN_MARGIN = { vp: 1e-5, other: 1e-3 };
const SAMPLE_MARGIN = 1e-3;

const architecture = ({ model_args }: Sit2dCase): NetworkConfig =>
  ditNetwork(model_args, { learnSigma: model_args.learn_sigma });

export async function verifySit2d(recorded: VerifyCase): Promise<Results> {
  const settings = recorded.config as unknown as Sit2dCase;
  const config = architecture(settings);
  return recordedOnly(recorded, {
    ...forwardResults(recorded, settings, config),
    ...lossResults(recorded, config),
    ...(await sampledResults(recorded, settings, config)),
  });
}

function forwardResults({ weights, inputs }: VerifyCase, { cfg_scale }: Sit2dCase, config: NetworkConfig): Results {
  const t = numbersOf(inputs['in.t']);
  const labels = labelsOf(inputs['in.y']);
  const rowWise: ConditionalField = (x, _, rows) =>
    usedChannels(
      config,
      forward(config, weights, { x, t: [...t, ...t].slice(0, rows.length), labels: rows }).prediction,
    );
  return tf.tidy(() => {
    const x = tokensOf(inputs['in.x']);
    const guidance: Guidance = { scale: cfg_scale, interval: [0, 1], channels: 3, rescale: 0 };
    return {
      'out.velocity': imageOf(rowWise(x, 0, labels)),
      'out.velocity_null': imageOf(rowWise(x, 0, nullsFor(config, labels))),
      'out.velocity_with_cfg': imageOf(bothHalves(rowWise, labels, config.classes, guidance)(tf.concat([x, x]), 0, 0)),
      'out.pos_embed_formula': tf.tensor(positionTable(config), [config.tokens / config.patch ** 2, config.width]),
    };
  });
}

const nullsFor = ({ classes }: NetworkConfig, labels: Int32Array): Int32Array => labels.map(() => classes);

/**
 * SiT's and LightningDiT's guided pass on [x; x]: both halves see the first one's state and get its guided channels;
 * the other channels stay conditional in the first half and unconditional in the second.
 */
export function bothHalves(
  network: ConditionalField,
  labels: Int32Array,
  nullLabel: number,
  guidance: Guidance,
): VelocityField {
  const both = Int32Array.from([...labels, ...labels.map(() => nullLabel)]);
  return (x, t, stepStart) =>
    tf.tidy(() => {
      const [half] = tf.split(x, 2);
      const out = network(tf.concat([half, half]), t, both);
      const [conditional, unconditional] = tf.split(out, 2);
      const guided = isGuided(guidance, stepStart) ? guidance : { ...guidance, scale: 1 };
      const rest = [conditional, unconditional];
      return tf.concat(rest.map(other => mix(unconditional, conditional, other, guided)));
    });
}

/** [first, last] time of an ODE or of training in SiT: a margin where what is predicted is infinite at the very end. */
function interval(path: PathName, prediction: PredictionName, margin: number): [number, number] {
  if (path === 'vp') return [0, 1 - margin];
  return prediction === 'velocity' ? [0, 1] : [margin, 1 - margin];
}

function lossResults({ weights, inputs }: VerifyCase, config: NetworkConfig): Results {
  const labels = labelsOf(inputs['in.y']);
  const draws = numbersOf(inputs['in.t_raw']);
  const results: Results = {};
  for (const [theirs, path] of Object.entries(PATH_NAMES)) {
    for (const prediction of ['velocity', 'noise', 'score'] as const) {
      const [t0, t1] = interval(path, prediction, path === 'vp' ? TRAIN_MARGIN.vp : TRAIN_MARGIN.other);
      const t = draws.map(u => u * (t1 - t0) + t0);
      const [xt, ...losses] = tf.tidy(() => {
        const [data, noise] = [tokensOf(inputs['in.x1_data']), tokensOf(inputs['in.x0_noise'])];
        const x = noisyAt(path, data, noise, t);
        const out = usedChannels(config, forward(config, weights, { x, t, labels }).prediction);
        const target = targetAt(path, prediction, data, noise, t);
        const loss = (weighting: Weighting): Tensor =>
          squaredErrors(
            out,
            target,
            Array.from(t, time => lossWeight(path, prediction, weighting, time)),
          );
        return [imageOf(x), loss('none'), loss('velocity'), loss('likelihood')];
      });
      const named = `${theirs}_${prediction}`;
      results[`out.t_${named}_none`] = arrayOf(t);
      results[`out.xt_${named}_none`] = xt;
      ['none', 'velocity', 'likelihood'].forEach((weight, i) => (results[`out.loss_${named}_${weight}`] = losses[i]));
    }
  }
  return results;
}

async function sampledResults(
  { weights, inputs }: VerifyCase,
  settings: Sit2dCase,
  config: NetworkConfig,
): Promise<Results> {
  const labels = labelsOf(inputs['in.y']);
  const start = tokensOf(inputs['in.start_noise']);
  const results: Results = {};
  for (const [name, { path: theirs, prediction, mode, args }] of Object.entries(settings.samplers)) {
    const path = PATH_NAMES[theirs.toLowerCase()];
    const objective: Objective = { path, prediction, time: 'noise-to-data', timeScale: 1 };
    const network = velocityNetwork({ config, params: weights, objective });
    const field: VelocityField = (x, t) => network(x, t, labels);
    const states: Tensor[] = mode === 'ode' ? [start.clone()] : [];
    const onStep = ({ x }: StepReport): void => void states.push(x.clone());
    const noise = (step: number): Tensor => tokensOf(sliceOf(inputs['in.sde_noise'], step));
    const [sampler, times] =
      mode === 'ode'
        ? [odeSampler(args), odeTimes(path, prediction, args)]
        : [sdeSampler(path, args, noise), sdeTimes(path, prediction, args)];
    (await sampler(field, start, times, { onStep })).dispose();
    results[`out.traj_${name}`] = tf.tidy(() => tf.stack(states.map(imageOf)));
    tf.dispose(states);
  }
  start.dispose();
  return results;
}

function odeSampler({ sampling_method, atol, rtol }: SamplerArgs): Sampler {
  const byName: Record<string, Sampler> = {
    euler,
    // Torchdiffeq's takes no Euler step at the end.
    heun2: rungeKutta(heunStep),
    midpoint,
    rk4,
    dopri5: dopri5({ atol, rtol }),
  };
  return byName[sampling_method];
}

function odeTimes(path: PathName, prediction: PredictionName, { num_steps, reverse }: SamplerArgs): Float64Array {
  const [t0, t1] = interval(path, prediction, SAMPLE_MARGIN);
  return reverse ? timeGrid(num_steps, 1 - t0, 1 - t1) : timeGrid(num_steps, t0, t1);
}

function sdeSampler(path: PathName, args: SamplerArgs, noise: (step: number) => Tensor): Sampler {
  const form = args.diffusion_form!.toLowerCase().replace('incc', 'inc') as DiffusionForm;
  return sde({
    path: PATHS[path],
    form,
    scale: args.diffusion_norm,
    method: args.sampling_method.toLowerCase() as 'euler' | 'heun',
    lastStep: args.last_step!.toLowerCase() as LastStep,
    noise,
  });
}

/** SiT's grid ends one `last_step_size` before the data, where its last step is taken. */
function sdeTimes(path: PathName, prediction: PredictionName, args: SamplerArgs): number[] {
  const fromMargin = path !== 'vp' && (prediction !== 'velocity' || args.diffusion_form === 'SBDM');
  const end = 1 - args.last_step_size!;
  return [...timeGrid(args.num_steps, fromMargin ? SAMPLE_MARGIN : 0, end), 1];
}
