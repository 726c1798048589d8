import { z } from 'zod';
import { tf, valueAndGradients, type Scalar, type Tensor } from '../../engine/index.js';
import { side } from '../../diffusion/config.js';
import { CONVENTIONS } from '../../diffusion/conventions.js';
import { classifierFree } from '../../diffusion/guidance.js';
import { inferNetwork } from '../../diffusion/infer.js';
import { noisyAt, squaredErrors, targetAt } from '../../diffusion/loss.js';
import { forward } from '../../diffusion/network.js';
import { velocityNetwork } from '../../diffusion/objective.js';
import { caseConfig, type VerifyCase } from '../case.js';
import { imageOf, labelsOf, numbersOf, recordedOnly, tokensOf, type Results } from './case.js';

/* RAE's transformer with DDT's head. Its time is 0 at the data, and its velocity points to the noise. */

const CASE = z.object({
  parameters: z.object({ depth: z.tuple([side, side]) }),
  guidance: z.object({
    scale: z.number(),
    /** In its own time, as the times at which it is evaluated. */
    interval: z.tuple([z.number(), z.number()]),
    t: z.number(),
    t_outside: z.number(),
  }),
});

const GRADIENT = 'output.grad.';

export function verifyRae(recorded: VerifyCase): Promise<Results> {
  const { guidance, parameters } = caseConfig(recorded, CASE);
  const { inputs, weights } = recorded;
  const config = inferNetwork(recorded.folder, weights);
  const { objective } = CONVENTIONS.rae;
  const [t, labels] = [numbersOf(inputs['input.t']), labelsOf(inputs['input.y'])];
  const blocks = parameters.depth[0] + parameters.depth[1];
  const loss = (): Scalar => {
    const inner = t.map(time => 1 - time);
    const [data, noise] = [tokensOf(inputs['input.data']), tokensOf(inputs['input.noise'])];
    const x = noisyAt('linear', data, noise, inner);
    const target = targetAt('linear', 'velocity', data, noise, inner).neg();
    return squaredErrors(forward(config, weights, { x, t, labels }).prediction, target).mean();
  };
  const values = tf.tidy(() => {
    const x = tokensOf(inputs['input.x']);
    const { prediction, activations } = forward(config, weights, { x, t, labels }, () => true);
    const network = velocityNetwork({ config, params: weights, objective });
    const [low, high] = guidance.interval;
    const terms = { scale: guidance.scale, interval: [1 - high, 1 - low] as [number, number], rescale: 0 };
    const field = classifierFree(network, labels, config.classes, terms);
    const guided = (time: number): Tensor => imageOf(field(x, 1 - time, 1 - time).neg());
    const mids = Array.from({ length: blocks }, (_, i) => [`mid.block${i}`, activations[`blocks.${i}`]]);
    return {
      ...(Object.fromEntries(mids) as Record<string, Tensor>),
      'output.velocity': imageOf(prediction),
      'output.guided': guided(guidance.t),
      'output.outside_interval': guided(guidance.t_outside),
      'output.loss': loss(),
    };
  });
  const wanted = Object.keys(recorded.recorded).filter(name => name.startsWith(GRADIENT));
  const { value, gradients } = valueAndGradients(
    loss,
    wanted.map(name => weights[name.slice(GRADIENT.length)]),
  );
  value.dispose();
  const slopes = Object.fromEntries(wanted.map((name, i) => [name, gradients[i] as Tensor]));
  return Promise.resolve(recordedOnly(recorded, { ...values, ...slopes }));
}
