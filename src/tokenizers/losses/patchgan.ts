import { tf, type Tensor, type Tensor4D } from '../../engine/index.js';
import { batchNorm, conv2d, groupNorm, prefixed, trainBatchNorm, under, type Params } from '../../nn/index.js';
import type { Discriminator, Judgement } from './discriminator.js';

/*
 * Patch discriminators: a judgement per neighbourhood (Isola et al. 2017). Keys are `main.<position>`; depths and
 * widths follow from the weights. All convolutions halve the side but the last two.
 */
const SLOPE = 0.2;
const BATCH_EPS = 1e-5;
const GROUPS = 32;
const GROUP_EPS = 1e-6;

/** 4×4 convolutions, each but the first and last followed by batch normalisation. logits [n, h', w', 1]. */
export const patchGan: Discriminator = (params, images, { train }) => {
  const layers = positionsOf(params);
  const buffers: Params = {};
  let x: Tensor = images;
  layers.forEach(({ at, kind }) => {
    const layer = under(params, at);
    if (kind === 'norm') {
      const { output, buffers: moved } = normalise(layer, x, train);
      Object.assign(buffers, prefixed(moved, at));
      x = tf.leakyRelu(output, SLOPE);
      return;
    }
    const rank = convolutionsAfter(layers, at);
    x = conv2d(layer, x, { stride: rank >= 2 ? 2 : 1, padding: 1 });
    if (at === layers[0].at) x = tf.leakyRelu(x, SLOPE);
  });
  return { logits: x, buffers };
};

function normalise(params: Params, x: Tensor, train: boolean): { output: Tensor; buffers: Params } {
  return train ? trainBatchNorm(params, x, BATCH_EPS) : { output: batchNorm(params, x, BATCH_EPS), buffers: {} };
}

/** MaskBit's: 3×3 convolutions after group normalisation, a max-pool before the last. logits [n, h', w', 1]. */
export const maskBit: Discriminator = (params, images): Judgement => {
  const layers = positionsOf(params);
  let x: Tensor = images;
  for (const { at, kind } of layers) {
    const layer = under(params, at);
    if (kind === 'norm') {
      x = groupNorm(layer, x, GROUPS, GROUP_EPS);
      continue;
    }
    const rank = convolutionsAfter(layers, at);
    if (rank === 0) x = maxPool2x(x);
    x = conv2d(layer, x, { stride: rank >= 2 ? 2 : 1, padding: 1 });
    if (rank > 0) x = tf.leakyRelu(x, SLOPE);
  }
  return { logits: x, buffers: {} };
};

interface Position {
  at: string;
  kind: 'conv' | 'norm';
}

function positionsOf(params: Params): Position[] {
  const numbers = Object.keys(params).map(key => /^main\.(\d+)\.weight$/.exec(key)?.[1]);
  return numbers
    .filter(number => number !== undefined)
    .sort((a, b) => Number(a) - Number(b))
    .map(number => ({ at: `main.${number}`, kind: params[`main.${number}.weight`].rank === 4 ? 'conv' : 'norm' }));
}

const convolutionsAfter = (layers: Position[], at: string): number =>
  layers.slice(layers.findIndex(layer => layer.at === at) + 1).filter(({ kind }) => kind === 'conv').length;

/** Largest of each 2×2 square, an odd edge left out. By two maxima, whose gradient every engine has. */
function maxPool2x(x: Tensor): Tensor4D {
  const [n, h, w, c] = x.shape as [number, number, number, number];
  const [rows, columns] = [Math.floor(h / 2), Math.floor(w / 2)];
  const even = tf.slice4d(x as Tensor4D, [0, 0, 0, 0], [n, 2 * rows, 2 * columns, c]);
  const tall = tf.max(even.reshape([n * rows, 2, 2 * columns * c]), 1);
  return tf.max(tall.reshape([n * rows * columns, 2, c]), 1).reshape([n, rows, columns, c]);
}
