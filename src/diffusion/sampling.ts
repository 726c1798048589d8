import { setImmediate as nextTurn } from 'node:timers/promises';
import { EXIT, UserError } from '../base/index.js';
import { tf, type RandomStream, type Tensor, type Tensor3D } from '../engine/index.js';
import {
  autoguidance,
  classifierFree,
  internallyGuided,
  isGuided,
  type Guidance,
  type InternalGuidance,
} from './guidance.js';
import { bothVelocities, velocityNetwork, type Predictor } from './objective.js';
import { PATHS } from './paths.js';
import { dataFromVelocity } from './predictions.js';
import { openSampler, type SamplerChoice } from './sampler.js';
import type { VelocityField } from './samplers/index.js';

/** Everything that decides about samples besides their numbers and labels. */
export interface SamplingPlan {
  model: Predictor;
  /** A worse model to be guided away from, in place of the null class. */
  bad?: Predictor | undefined;
  guidance: Guidance;
  /** Away from the model's own early prediction, before the guidance above. */
  internal?: InternalGuidance | undefined;
  sampler: SamplerChoice;
  /** Sample k's numbers depend on this and k alone. */
  random: RandomStream;
}

export interface SamplingHooks {
  /** The states [n, tokens, channels] from the start on, one a step; the sampler's: read them now. */
  onState?: ((states: Tensor) => void) | undefined;
  /** After every step, with the expected data of the first samples if those are asked for. */
  onStep?: ((step: number, steps: number) => void) | undefined;
  /** Called with the expected data [rows, tokens, channels] at a few times; it disposes of them. */
  onExpectedData?: { rows: number; frames: number; take: (data: Tensor3D, t: number) => void } | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Normalised latents of the samples with these numbers and labels, [n, tokens, channels]; the caller owns them.
 * Nothing is read back between the steps (but dopri5's error).
 * @throws UserError naming the step after which the state was not finite.
 */
export async function sampleLatents(
  plan: SamplingPlan,
  samples: ArrayLike<number>,
  labels: Int32Array,
  { onState, onStep, onExpectedData, signal }: SamplingHooks = {},
): Promise<Tensor3D> {
  const { tokens, channels } = plan.model.config;
  const draw = (purpose: string, step: number): Tensor3D =>
    stackedNormals(plan.random.for(purpose), samples, step, [tokens, channels]);
  const { sampler, times } = await openSampler(plan.sampler, plan.model.objective, step => draw('sde noise', step));
  const steps = times.length - 1;
  const expected = onExpectedData && expectedDataTaker(plan, labels, steps, onExpectedData);
  const start = draw('start', 0);
  // One sum per step: no number among its terms, no number itself. Read once, at the end.
  const sums: Tensor[] = [];
  try {
    onState?.(start);
    const latents = await sampler(fieldOf(plan, labels), start, times, {
      onStep: async ({ step, t, x }) => {
        sums.push(x.sum());
        onState?.(x);
        expected?.(x, step, t);
        onStep?.(step, steps);
        await nextTurn();
        if (signal?.aborted) throw new UserError('interrupted', EXIT.interrupted);
      },
    });
    await refuseNonFinite(sums, latents, times);
    return latents as Tensor3D;
  } finally {
    tf.dispose([start, ...sums]);
  }
}

/** The guided velocity for rows with these labels. */
function fieldOf({ model, bad, guidance, internal }: SamplingPlan, labels: Int32Array): VelocityField {
  const { classes, beta } = model.config;
  if (beta) {
    // The network was told the guidance scale in training: one pass is the guided one.
    const [guided, plain] = [velocityNetwork(model, 1 / guidance.scale), velocityNetwork(model)];
    return (x, t, stepStart) => (isGuided(guidance, stepStart) ? guided : plain)(x, t, labels);
  }
  const whole = velocityNetwork(model);
  const both = (x: Tensor, t: number, rows: Int32Array): [Tensor, Tensor] => bothVelocities(model, x, t, rows);
  const network = internal ? internallyGuided({ whole, both }, internal) : whole;
  return bad
    ? autoguidance(network, velocityNetwork(bad), labels, guidance)
    : classifierFree(network, labels, classes, guidance);
}

function stackedNormals(
  random: RandomStream,
  samples: ArrayLike<number>,
  step: number,
  [tokens, channels]: [number, number],
): Tensor3D {
  const size = tokens * channels;
  const numbers = new Float32Array(samples.length * size);
  for (let i = 0; i < samples.length; i++) numbers.set(random.at(step, samples[i]).normals(size), i * size);
  return tf.tensor3d(numbers, [samples.length, tokens, channels]);
}

function expectedDataTaker(
  plan: SamplingPlan,
  labels: Int32Array,
  steps: number,
  { rows, frames, take }: NonNullable<SamplingHooks['onExpectedData']>,
): (x: Tensor, step: number, t: number) => void {
  const count = Math.min(rows, labels.length);
  const field = fieldOf(plan, labels.subarray(0, count));
  const wanted = new Set(Array.from({ length: frames }, (_, i) => Math.max(1, Math.round(((i + 1) * steps) / frames))));
  return (x, step, t) => {
    if (!wanted.has(step)) return;
    take(
      tf.tidy(() => {
        const first = x.slice([0, 0, 0], [count, -1, -1]);
        if (step === steps) return first as Tensor3D;
        const { output, x: weight } = dataFromVelocity(PATHS[plan.model.objective.path](t));
        return field(first, t, t).mul(output).add<Tensor3D>(first.mul(weight));
      }),
      t,
    );
  };
}

async function refuseNonFinite(sums: Tensor[], latents: Tensor, times: Float64Array): Promise<void> {
  const packed = tf.stack(sums);
  const step = (await packed.data()).findIndex(sum => !Number.isFinite(sum));
  packed.dispose();
  if (step < 0) return;
  latents.dispose();
  throw new UserError(
    `sampling: the latents were NaN or infinite after step ${step + 1} of ${times.length - 1} (t = ${times[step + 1].toPrecision(3)}); ` +
      'a smaller --guidance or more --steps may help, otherwise the weights are at fault',
    EXIT.failed,
  );
}
