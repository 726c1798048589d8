import { z } from 'zod';
import { UserError } from '../../base/index.js';
import { tf, valueAndGradients, type Scalar, type Tensor } from '../../engine/index.js';
import type { Params } from '../../nn/index.js';
import { caseConfig, type VerifyCase } from '../case.js';
import { BETA_INPUTS, side, type NetworkConfig } from '../../diffusion/config.js';
import { guidanceFreePrediction } from '../../diffusion/gft.js';
import { noisyAt, squaredErrors } from '../../diffusion/loss.js';
import { forward } from '../../diffusion/network.js';
import { DDPM_STEPS } from '../../diffusion/paths.js';
import { ditNetwork } from './architecture.js';
import { imageOf, labelsOf, numbersOf, recordedOnly, tokensOf, type Results } from './case.js';

/* GFT's DiT. Its time is the index of a DDPM step, 0 next to the data; it predicts the noise. */

const CASE = z.object({
  parameters: z.object({
    input_size: side,
    patch_size: side,
    in_channels: side,
    hidden_size: side,
    depth: side,
    num_heads: side,
    mlp_ratio: z.number().positive().default(4),
    num_classes: side,
    class_dropout_prob: z.number(),
    learn_sigma: z.boolean(),
    use_beta_embed: z.literal(true, { error: 'only networks that take β are verified' }).default(true),
    beta_in: z.enum(BETA_INPUTS).default('linear'),
  }),
});
type GftCase = z.output<typeof CASE>;

const architecture = ({ parameters: p }: GftCase): NetworkConfig =>
  ditNetwork(p, { mlpRatio: p.mlp_ratio, learnSigma: p.learn_sigma, beta: p.beta_in });

export function verifyGft(recorded: VerifyCase): Promise<Results> {
  const settings = caseConfig(recorded, CASE);
  const config = architecture(settings);
  const results = { ...forwardResults(recorded, config), ...lossResults(recorded, settings, config) };
  return Promise.resolve(recordedOnly(recorded, results));
}

function forwardResults({ inputs, weights }: VerifyCase, config: NetworkConfig): Results {
  return tf.tidy(() => {
    const x = tokensOf(inputs['input.x']);
    const at = { x, t: numbersOf(inputs['input.t']), labels: labelsOf(inputs['input.y']) };
    const beta = numbersOf(inputs['input.beta']);
    return {
      'output.with_beta': imageOf(forward(config, weights, { ...at, beta }).prediction),
      'output.without_beta': imageOf(forward(config, weights, at).prediction),
    };
  });
}

function lossResults(
  { inputs, weights, recorded }: VerifyCase,
  { parameters }: GftCase,
  config: NetworkConfig,
): Results {
  const t = numbersOf(inputs['input.t']);
  const dropped = numbersOf(inputs['input.loss_drop_uniform']);
  const labels = labelsOf(inputs['input.loss_y']).map((label, i) =>
    dropped[i] < parameters.class_dropout_prob ? config.classes : label,
  );
  const beta = numbersOf(inputs['input.loss_beta']);
  const [x, noise] = tf.tidy(() => {
    const [data, noise] = [tokensOf(inputs['input.loss_data']), tokensOf(inputs['input.loss_noise'])];
    return [
      noisyAt(
        'ddpm',
        data,
        noise,
        t.map(i => 1 - i / (DDPM_STEPS - 1)),
      ),
      noise,
    ];
  });
  const parts = (): Record<'mixed' | 'conditional' | 'unconditional', Tensor> =>
    guidanceFreePrediction(config, weights, { x, t, labels, beta });
  const values = tf.tidy(() => {
    const { mixed, conditional, unconditional } = parts();
    const perSample = squaredErrors(mixed, noise);
    return {
      'output.x_t': imageOf(x),
      'output.loss_per_sample': perSample,
      'output.loss_mean': perSample.mean(),
      'output.loss_psample_per_sample': squaredErrors(conditional, noise),
      'output.loss_uncond_per_sample': squaredErrors(unconditional, noise),
    };
  });
  const wanted = Object.keys(recorded).filter(name => name.startsWith(GRADIENT));
  const { value, gradients } = valueAndGradients(
    () => squaredErrors(parts().mixed, noise).mean<Scalar>(),
    wanted.map(name => weightOf(name, weights)),
  );
  tf.dispose([x, noise, value]);
  const recordedForm = (name: string, gradient: Tensor): Tensor => {
    if (!name.endsWith(ROW_SUMS)) return gradient;
    const sums = gradient.sum(1);
    gradient.dispose();
    return sums;
  };
  return {
    ...values,
    ...Object.fromEntries(wanted.map((name, i) => [name, recordedForm(name, gradients[i] as Tensor)])),
  };
}

const GRADIENT = 'output.grad.';
const ROW_SUMS = '_rowsum';

/** The weight whose gradient, or sums of the gradient's rows, a recorded output holds. */
function weightOf(output: string, weights: Params): Tensor {
  const name = output.slice(GRADIENT.length).replace(new RegExp(`${ROW_SUMS}$`), '');
  if (!(name in weights)) throw new UserError(`${output}: the case's weights hold no ${name}`);
  return weights[name];
}
