import { tf, valueAndGradients, type Scalar, type Tensor } from '../../engine/index.js';
import type { VerifyCase } from '../../nn/index.js';
import { networkSchema, type NetworkConfig } from '../config.js';
import { guidanceFreePrediction } from '../gft.js';
import { noisyAt, squaredErrors } from '../loss.js';
import { forward } from '../network.js';
import { DDPM_STEPS } from '../paths.js';
import { imageOf, labelsOf, numbersOf, recordedOnly, tokensOf, type Results } from './case.js';

/* GFT's DiT. Its time is the index of a DDPM step, 0 next to the data; it predicts the noise. */

interface GftCase {
  parameters: {
    input_size: number;
    patch_size: number;
    in_channels: number;
    hidden_size: number;
    depth: number;
    num_heads: number;
    num_classes: number;
    class_dropout_prob: number;
    learn_sigma: boolean;
  };
}

function architecture({ parameters: p }: GftCase): NetworkConfig {
  return networkSchema.parse({
    tokens: p.input_size ** 2,
    grid: [p.input_size, p.input_size],
    channels: p.in_channels,
    patch: p.patch_size,
    width: p.hidden_size,
    depth: p.depth,
    heads: p.num_heads,
    mlpRatio: 4,
    classes: p.num_classes,
    learnSigma: p.learn_sigma,
    norm: 'layer',
    mlp: 'gelu',
    rope: false,
    qkNorm: false,
    shift: true,
    beta: true,
  });
}

const CHANGED = ['final_layer.linear.weight', 't_embedder.cond_proj.weight'];

export function verifyGft(recorded: VerifyCase): Promise<Results> {
  const settings = recorded.config as unknown as GftCase;
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

function lossResults({ inputs, weights }: VerifyCase, { parameters }: GftCase, config: NetworkConfig): Results {
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
  const { value, gradients } = valueAndGradients(
    () => squaredErrors(parts().mixed, noise).mean<Scalar>(),
    CHANGED.map(name => weights[name]),
  );
  tf.dispose([x, noise, value]);
  const [linear, projection] = gradients as Tensor[];
  const rowSums = projection.sum(1);
  projection.dispose();
  return {
    ...values,
    'output.grad.final_layer.linear.weight': linear,
    'output.grad.t_embedder.cond_proj.weight_rowsum': rowSums,
  };
}
