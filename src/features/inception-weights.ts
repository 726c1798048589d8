import { tf } from '../engine/index.js';
import type { Params, Shapes } from '../nn/index.js';
import { loadParams, type HostArray } from '../nn/index.js';

const BATCH_EPS = 1e-3;
export const INCEPTION_FEATURES = 2048;
export const INCEPTION_SPATIAL = 17 * 17 * 7;
export const INCEPTION_CLASSES = 1008;

type Conv = [name: string, out: number, inputs: number, height: number, width: number];

const STEM: Conv[] = [
  ['Conv2d_1a_3x3', 32, 3, 3, 3],
  ['Conv2d_2a_3x3', 32, 32, 3, 3],
  ['Conv2d_2b_3x3', 64, 32, 3, 3],
  ['Conv2d_3b_1x1', 80, 64, 1, 1],
  ['Conv2d_4a_3x3', 192, 80, 3, 3],
];

const blockA = (inputs: number, pool: number): Conv[] => [
  ['branch1x1', 64, inputs, 1, 1],
  ['branch5x5_1', 48, inputs, 1, 1],
  ['branch5x5_2', 64, 48, 5, 5],
  ['branch3x3dbl_1', 64, inputs, 1, 1],
  ['branch3x3dbl_2', 96, 64, 3, 3],
  ['branch3x3dbl_3', 96, 96, 3, 3],
  ['branch_pool', pool, inputs, 1, 1],
];

const BLOCK_B: Conv[] = [
  ['branch3x3', 384, 288, 3, 3],
  ['branch3x3dbl_1', 64, 288, 1, 1],
  ['branch3x3dbl_2', 96, 64, 3, 3],
  ['branch3x3dbl_3', 96, 96, 3, 3],
];

const blockC = (narrow: number): Conv[] => [
  ['branch1x1', 192, 768, 1, 1],
  ['branch7x7_1', narrow, 768, 1, 1],
  ['branch7x7_2', narrow, narrow, 1, 7],
  ['branch7x7_3', 192, narrow, 7, 1],
  ['branch7x7dbl_1', narrow, 768, 1, 1],
  ['branch7x7dbl_2', narrow, narrow, 7, 1],
  ['branch7x7dbl_3', narrow, narrow, 1, 7],
  ['branch7x7dbl_4', narrow, narrow, 7, 1],
  ['branch7x7dbl_5', 192, narrow, 1, 7],
  ['branch_pool', 192, 768, 1, 1],
];

const BLOCK_D: Conv[] = [
  ['branch3x3_1', 192, 768, 1, 1],
  ['branch3x3_2', 320, 192, 3, 3],
  ['branch7x7x3_1', 192, 768, 1, 1],
  ['branch7x7x3_2', 192, 192, 1, 7],
  ['branch7x7x3_3', 192, 192, 7, 1],
  ['branch7x7x3_4', 192, 192, 3, 3],
];

const blockE = (inputs: number): Conv[] => [
  ['branch1x1', 320, inputs, 1, 1],
  ['branch3x3_1', 384, inputs, 1, 1],
  ['branch3x3_2a', 384, 384, 1, 3],
  ['branch3x3_2b', 384, 384, 3, 1],
  ['branch3x3dbl_1', 448, inputs, 1, 1],
  ['branch3x3dbl_2', 384, 448, 3, 3],
  ['branch3x3dbl_3a', 384, 384, 1, 3],
  ['branch3x3dbl_3b', 384, 384, 3, 1],
  ['branch_pool', 192, inputs, 1, 1],
];

const BLOCKS: [name: string, convs: Conv[]][] = [
  ['Mixed_5b', blockA(192, 32)],
  ['Mixed_5c', blockA(256, 64)],
  ['Mixed_5d', blockA(288, 64)],
  ['Mixed_6a', BLOCK_B],
  ['Mixed_6b', blockC(128)],
  ['Mixed_6c', blockC(160)],
  ['Mixed_6d', blockC(160)],
  ['Mixed_6e', blockC(192)],
  ['Mixed_7a', BLOCK_D],
  ['Mixed_7b', blockE(1280)],
  ['Mixed_7c', blockE(2048)],
];

function convolutions(): Conv[] {
  const inBlocks = BLOCKS.flatMap(([block, convs]) =>
    convs.map(([name, ...sizes]): Conv => [`${block}.${name}`, ...sizes]),
  );
  return [...STEM, ...inBlocks];
}

/** Every key and shape of the published weights (`weights-inception-2015-12-05-6726825d.pth`, pytorch-fid's `pt_…`). */
export function inceptionShapes(): Shapes {
  const shapes: Shapes = {};
  for (const [name, out, inputs, height, width] of convolutions()) {
    shapes[`${name}.conv.weight`] = [out, inputs, height, width];
    for (const part of ['weight', 'bias', 'running_mean', 'running_var']) shapes[`${name}.bn.${part}`] = [out];
  }
  shapes['fc.weight'] = [INCEPTION_CLASSES, INCEPTION_FEATURES];
  shapes['fc.bias'] = [INCEPTION_CLASSES];
  return shapes;
}

const ADVICE =
  'these are not the weights of FID’s Inception (torch-fidelity’s weights-inception-2015-12-05-6726825d.pth, pytorch-fid’s pt_inception-…)';

/** Published weights, checked, each batch norm folded into the convolution before it. */
export function loadInception(name: string, weights: Record<string, HostArray>): Params {
  const ignores = (key: string): boolean => key.endsWith('num_batches_tracked') || key.startsWith('AuxLogits.');
  const params = loadParams(name, weights, inceptionShapes(), { ignores, advice: ADVICE });
  try {
    return tf.tidy(() => folded(params));
  } finally {
    tf.dispose(params);
  }
}

function folded(params: Params): Params {
  const out: Params = { 'fc.weight': params['fc.weight'].clone(), 'fc.bias': params['fc.bias'].clone() };
  for (const [name] of convolutions()) {
    const norm = (part: string) => params[`${name}.bn.${part}`];
    const scale = norm('weight').mul(norm('running_var').add(BATCH_EPS).rsqrt());
    out[`${name}.conv.weight`] = params[`${name}.conv.weight`].mul(scale.reshape([-1, 1, 1, 1]));
    out[`${name}.conv.bias`] = norm('bias').sub(norm('running_mean').mul(scale));
  }
  return out;
}
