import { tf, type Tensor, type Tensor3D } from '../engine/index.js';
import { linear, patchify, patchWeight, silu, under, unpatchify, type Params } from '../nn/index.js';
import type { NetworkConfig } from './config.js';
import { tokenGrid } from './positions.js';
import { BETA_NUMBERS, TIME_NUMBERS } from './shapes.js';

const LONGEST_PERIOD = 10_000;

/** Cosines, then sines, of `values` at `features`/2 geometric frequencies: [n, features]. */
export function sinusoid(values: ArrayLike<number>, features: number): Tensor {
  const half = features / 2;
  const waves = Array.from({ length: half }, (_, i) => LONGEST_PERIOD ** (-i / half));
  const out = new Float32Array(values.length * features);
  for (let row = 0; row < values.length; row++) {
    for (let i = 0; i < half; i++) {
      const angle = values[row] * waves[i];
      out[row * features + i] = Math.cos(angle);
      out[row * features + half + i] = Math.sin(angle);
    }
  }
  return tf.tensor2d(out, [values.length, features]);
}

/** Sines, then cosines, of times at the given frequencies in cycles: [n, 2 · frequencies]. */
function drawnSinusoid(frequencies: Tensor, t: ArrayLike<number>): Tensor {
  const angles = tf
    .tensor2d(
      Float32Array.from(t, time => 2 * Math.PI * time),
      [t.length, 1],
    )
    .mul(frequencies);
  return tf.concat([angles.sin(), angles.cos()], -1);
}

/** Times, and GFT's reciprocal guidance scales where given, → [n, width]. */
export function timeEmbedding(
  config: NetworkConfig,
  params: Params,
  t: ArrayLike<number>,
  beta?: ArrayLike<number>,
): Tensor {
  const time = under(params, 't_embedder');
  if (config.timeFeatures === 'drawn') return perceptron(time, drawnSinusoid(time.W, t));
  const features = sinusoid(t, TIME_NUMBERS);
  if (!config.beta || !beta) return perceptron(time, features);
  const thousandths = Float64Array.from(beta, b => 1000 * b);
  if (config.beta === 'linear')
    return perceptron(time, features.add(linear(under(time, 'cond_proj'), sinusoid(thousandths, BETA_NUMBERS))));
  const guidance = perceptron(under(params, 'beta_embedder'), sinusoid(thousandths, TIME_NUMBERS));
  return perceptron(time, features).add(guidance);
}

/** Linear layers `mlp.0`, `mlp.2`, … with SiLU between them. */
const perceptron = (params: Params, x: Tensor): Tensor =>
  ['mlp.0', 'mlp.2', 'mlp.4']
    .filter(name => `${name}.weight` in params)
    .reduce((inner, name, i) => linear(under(params, name), i === 0 ? inner : silu(inner)), x);

/**
 * Rows of the class table, [n, width]. As a product with one-hot rows, because a gather's gradient is not on every
 * engine; in full precision, as an embedding is elsewhere.
 */
export function labelEmbedding({ weight }: Params, labels: ArrayLike<number>): Tensor {
  const classes = weight.shape[0];
  const oneHot = new Float32Array(labels.length * classes);
  for (let row = 0; row < labels.length; row++) oneHot[row * classes + labels[row]] = 1;
  return tf.matMul(tf.tensor2d(oneHot, [labels.length, classes]), weight);
}

/** Latents [n, tokens, channels] → tokens of the transformer [n, sequence, width]; positions are still to be added. */
export function tokenEmbedding(config: NetworkConfig, params: Params, x: Tensor): Tensor {
  if (!config.grid) return linear(params, x);
  return linear({ weight: patchWeight(params['proj.weight']), bias: params['proj.bias'] }, patches(config, x));
}

function patches({ grid, patch }: NetworkConfig, x: Tensor): Tensor {
  const [n, , channels] = x.shape as [number, number, number];
  return patch === 1 ? x : patchify(x.reshape([n, ...grid!, channels]), patch);
}

/** What the last layer gives, [n, sequence, patch² · channels], → [n, tokens, channels]. */
export function tokensToLatents(config: NetworkConfig, outputs: Tensor): Tensor3D {
  if (config.patch === 1) return outputs as Tensor3D;
  const image = unpatchify(outputs, config.patch, ...tokenGrid(config)!);
  return image.reshape([image.shape[0], config.tokens, image.shape[3]]);
}
