import type { Shapes } from '../nn/index.js';

/** Kernel, stride, expansion, input and output width of the 16 blocks (Tan & Le 2019, Table 1, without scaling). */
export const BLOCKS: readonly [kernel: number, stride: number, expansion: number, inputs: number, out: number][] = [
  [3, 1, 1, 32, 16],
  [3, 2, 6, 16, 24],
  [3, 1, 6, 24, 24],
  [5, 2, 6, 24, 40],
  [5, 1, 6, 40, 40],
  [3, 2, 6, 40, 80],
  [3, 1, 6, 80, 80],
  [3, 1, 6, 80, 80],
  [5, 1, 6, 80, 112],
  [5, 1, 6, 112, 112],
  [5, 1, 6, 112, 112],
  [5, 2, 6, 112, 192],
  [5, 1, 6, 192, 192],
  [5, 1, 6, 192, 192],
  [5, 1, 6, 192, 192],
  [3, 1, 6, 192, 320],
];

export const FEATURES = 1280;
const CLASSES = 1000;

/** Every key and shape of the PyTorch port's state dict. */
export function efficientNetShapes(): Shapes {
  return {
    '_conv_stem.weight': [32, 3, 3, 3],
    ...norm('_bn0', 32),
    ...Object.fromEntries(BLOCKS.flatMap((_, i) => Object.entries(block(i)))),
    '_conv_head.weight': [FEATURES, 320, 1, 1],
    ...norm('_bn1', FEATURES),
    '_fc.weight': [CLASSES, FEATURES],
    '_fc.bias': [CLASSES],
  };
}

function block(i: number): Shapes {
  const [kernel, , expansion, inputs, out] = BLOCKS[i];
  const wide = inputs * expansion;
  const at = `_blocks.${i}`;
  return {
    ...(expansion === 1 ? {} : { [`${at}._expand_conv.weight`]: [wide, inputs, 1, 1], ...norm(`${at}._bn0`, wide) }),
    [`${at}._depthwise_conv.weight`]: [wide, 1, kernel, kernel],
    ...norm(`${at}._bn1`, wide),
    [`${at}._project_conv.weight`]: [out, wide, 1, 1],
    ...norm(`${at}._bn2`, out),
  };
}

const norm = (at: string, width: number): Shapes =>
  Object.fromEntries(['weight', 'bias', 'running_mean', 'running_var'].map(part => [`${at}.${part}`, [width]]));
