import { tf, type Tensor, type Tensor4D } from '../../engine/index.js';
import { conv2d, groupNorm, under, upsample2x, type Params } from '../../nn/index.js';

/*
 * The tiny autoencoders of the TAESD family (Ollin Boer Bohan, MIT): plain sequences whose keys are
 * `<position>.<part>`. A network is the list of the layers at each position.
 */
export type TaesdLayer = 'conv' | 'down' | 'relu' | 'block' | 'up' | 'squash';

const repeat = (times: number, ...layers: TaesdLayer[]): TaesdLayer[] =>
  Array.from({ length: times }, () => layers).flat();

/** 8× down: TAESD, TAEF1 and TAEF2 (whose last three blocks carry a pool, seen in the keys). */
export const ENCODER_F8: readonly TaesdLayer[] = [
  'conv',
  'block',
  ...repeat(3, 'down', 'block', 'block', 'block'),
  'conv',
];

export const DECODER_F8: readonly TaesdLayer[] = [
  'squash',
  'conv',
  'relu',
  ...repeat(3, 'block', 'block', 'block', 'up', 'conv'),
  'block',
  'conv',
];

/** 32× down: the encoder that speaks DC-AE's latents (TAESANA). */
export const ENCODER_F32: readonly TaesdLayer[] = [
  ...repeat(2, 'down', 'relu'),
  'block',
  ...repeat(3, 'down', 'block', 'block', 'block'),
  'conv',
];

const POOL_GROUPS = 4;
const POOL_EPS = 1e-5;

export interface Activations {
  output: Tensor4D;
  /** Output of every position, in order; the caller owns them. */
  layers: Tensor4D[];
}

/** Runs a sequence on x [n, h, w, c]; pixels are in [0, 1] and latents raw. */
export function runSequence(layers: readonly TaesdLayer[], params: Params, x: Tensor): Activations {
  const outputs: Tensor4D[] = [];
  layers.forEach((layer, i) => {
    x = tf.tidy(() => LAYERS[layer](under(params, String(i)), x));
    outputs.push(x as Tensor4D);
  });
  return { output: x as Tensor4D, layers: outputs };
}

const LAYERS: Record<TaesdLayer, (params: Params, x: Tensor) => Tensor> = {
  conv: (params, x) => conv2d(params, x),
  down: (params, x) => conv2d(params, x, { stride: 2, padding: 1 }),
  relu: (_, x) => tf.relu(x),
  block,
  up: (_, x) => upsample2x(x),
  // A soft clamp of latents to ±3.
  squash: (_, x) => tf.tanh(x.div(3)).mul(3),
};

function block(params: Params, x: Tensor): Tensor {
  const pool = under(params, 'pool');
  const pooled = '0.weight' in pool ? x.add(pooling(pool, x)) : x;
  const inner = tf.relu(conv2d(under(params, 'conv.0'), pooled));
  const y = conv2d(under(params, 'conv.4'), tf.relu(conv2d(under(params, 'conv.2'), inner)));
  const skip = under(params, 'skip');
  return tf.relu(y.add('weight' in skip ? conv2d(skip, pooled) : pooled));
}

function pooling(params: Params, x: Tensor): Tensor {
  const wide = groupNorm(under(params, '1'), conv2d(under(params, '0'), x), POOL_GROUPS, POOL_EPS);
  return conv2d(under(params, '3'), tf.relu(wide));
}
