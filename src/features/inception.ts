import { tf, type Tensor, type Tensor2D, type Tensor4D } from '../engine/index.js';
import { conv2d, under, type Params } from '../nn/index.js';

/*
 * The InceptionV3 of the Fréchet inception distance: the network of Google's 2015 graph, which differs from
 * torchvision's in its average pools (padding not counted), the max pool of the last block and its 1,008 classes.
 * Parameters are folded (see inception-weights.ts): each convolution has a weight and a bias.
 */

/** Side of what the network sees. */
const INPUT = 299;

export interface InceptionOutput {
  /** Spatial means after the first and second max pool and after Mixed_6e, [n, 64], [n, 192], [n, 768]. */
  64: Tensor2D;
  192: Tensor2D;
  768: Tensor2D;
  /** `pool_3`, the features of FID, [n, 2048]. */
  pooled: Tensor2D;
  /** Scores of the 1,008 classes without their bias, as the inception score takes them. */
  logits: Tensor2D;
  /** The first seven channels of Mixed_6d's 1×1 branch, the features of sFID, [n, 17 · 17 · 7] in row, column, channel order. */
  spatial: Tensor2D;
}

/** 8-bit pixels [n, h, w, 3] → what the network sees: TensorFlow 1's bilinear resize, then (v − 128) / 128. */
export function inceptionInput(pixels: Tensor4D): Tensor4D {
  return tf.tidy(() => resizedAsTf1(pixels, INPUT, INPUT).sub(128).div<Tensor4D>(128));
}

/** Bilinear with source = target · in / out and no half-pixel shift, as TensorFlow 1 did it and the graph still does. */
export const resizedAsTf1 = (pixels: Tensor4D, height: number, width: number): Tensor4D =>
  tf.image.resizeBilinear(pixels, [height, width], false, false);

/** x [n, 299, 299, 3] as `inceptionInput` gives it. */
export function inception(params: Params, x: Tensor4D): InceptionOutput {
  return tf.tidy(() => {
    const unit = (name: string, input: Tensor, options?: ConvSpec): Tensor =>
      basic(under(params, name), input, options);
    const first = maxPool(
      unit('Conv2d_2b_3x3', unit('Conv2d_2a_3x3', unit('Conv2d_1a_3x3', x, STRIDED), VALID), { padding: 1 }),
    );
    const second = maxPool(unit('Conv2d_4a_3x3', unit('Conv2d_3b_1x1', first), VALID));
    let y: Tensor = second;
    for (const name of ['Mixed_5b', 'Mixed_5c', 'Mixed_5d']) y = blockA(under(params, name), y);
    y = blockB(under(params, 'Mixed_6a'), y);
    for (const name of ['Mixed_6b', 'Mixed_6c']) y = blockC(under(params, name), y);
    const spatial = tf.slice(basic(under(params, 'Mixed_6d.branch1x1'), y), [0, 0, 0, 0], [-1, -1, -1, SFID_CHANNELS]);
    for (const name of ['Mixed_6d', 'Mixed_6e']) y = blockC(under(params, name), y);
    const third = y;
    y = blockD(under(params, 'Mixed_7a'), y);
    y = blockE(under(params, 'Mixed_7b'), y, averagePool);
    y = blockE(under(params, 'Mixed_7c'), y, input => tf.maxPool(input as Tensor4D, 3, 1, 'same'));
    const pooled = mean(y);
    return {
      64: mean(first),
      192: mean(second),
      768: mean(third),
      pooled,
      logits: tf.matMul<Tensor2D>(pooled, params['fc.weight'], false, true),
      spatial: spatial.reshape<Tensor2D>([x.shape[0], SFID_SIDE * SFID_SIDE * SFID_CHANNELS]),
    };
  });
}

const SFID_SIDE = 17;
const SFID_CHANNELS = 7;

interface ConvSpec {
  stride?: number;
  padding?: number | [number, number, number, number];
}

const VALID: ConvSpec = { padding: 0 };
const STRIDED: ConvSpec = { stride: 2, padding: 0 };
/** [top, bottom, left, right] that keep the size under a 1×7, 7×1, 1×3 or 3×1 kernel. */
const WIDE7: ConvSpec = { padding: [0, 0, 3, 3] };
const TALL7: ConvSpec = { padding: [3, 3, 0, 0] };
const WIDE3: ConvSpec = { padding: [0, 0, 1, 1] };
const TALL3: ConvSpec = { padding: [1, 1, 0, 0] };

const basic = (params: Params, x: Tensor, options: ConvSpec = VALID): Tensor =>
  tf.relu(conv2d(under(params, 'conv'), x, options));
const mean = (x: Tensor): Tensor2D => x.mean<Tensor2D>([1, 2]);
const maxPool = (x: Tensor): Tensor => tf.maxPool(x as Tensor4D, 3, 2, 'valid');
/** TensorFlow's `same` average leaves the padding out of the count. */
const averagePool = (x: Tensor): Tensor => tf.avgPool(x as Tensor4D, 3, 1, 'same');

/** Convolutions one after the other. */
function chain(params: Params, x: Tensor, ...steps: [name: string, options?: ConvSpec][]): Tensor {
  return steps.reduce<Tensor>((y, [name, options]) => basic(under(params, name), y, options), x);
}

const SAME3: ConvSpec = { padding: 1 };
const SAME5: ConvSpec = { padding: 2 };

function blockA(params: Params, x: Tensor): Tensor {
  return tf.concat(
    [
      chain(params, x, ['branch1x1']),
      chain(params, x, ['branch5x5_1'], ['branch5x5_2', SAME5]),
      chain(params, x, ['branch3x3dbl_1'], ['branch3x3dbl_2', SAME3], ['branch3x3dbl_3', SAME3]),
      chain(params, averagePool(x), ['branch_pool']),
    ],
    3,
  );
}

function blockB(params: Params, x: Tensor): Tensor {
  return tf.concat(
    [
      chain(params, x, ['branch3x3', STRIDED]),
      chain(params, x, ['branch3x3dbl_1'], ['branch3x3dbl_2', SAME3], ['branch3x3dbl_3', STRIDED]),
      maxPool(x),
    ],
    3,
  );
}

function blockC(params: Params, x: Tensor): Tensor {
  return tf.concat(
    [
      chain(params, x, ['branch1x1']),
      chain(params, x, ['branch7x7_1'], ['branch7x7_2', WIDE7], ['branch7x7_3', TALL7]),
      chain(
        params,
        x,
        ['branch7x7dbl_1'],
        ['branch7x7dbl_2', TALL7],
        ['branch7x7dbl_3', WIDE7],
        ['branch7x7dbl_4', TALL7],
        ['branch7x7dbl_5', WIDE7],
      ),
      chain(params, averagePool(x), ['branch_pool']),
    ],
    3,
  );
}

function blockD(params: Params, x: Tensor): Tensor {
  return tf.concat(
    [
      chain(params, x, ['branch3x3_1'], ['branch3x3_2', STRIDED]),
      chain(
        params,
        x,
        ['branch7x7x3_1'],
        ['branch7x7x3_2', WIDE7],
        ['branch7x7x3_3', TALL7],
        ['branch7x7x3_4', STRIDED],
      ),
      maxPool(x),
    ],
    3,
  );
}

function blockE(params: Params, x: Tensor, pool: (x: Tensor) => Tensor): Tensor {
  const branch3x3 = chain(params, x, ['branch3x3_1']);
  const branch3x3dbl = chain(params, x, ['branch3x3dbl_1'], ['branch3x3dbl_2', SAME3]);
  return tf.concat(
    [
      chain(params, x, ['branch1x1']),
      chain(params, branch3x3, ['branch3x3_2a', WIDE3]),
      chain(params, branch3x3, ['branch3x3_2b', TALL3]),
      chain(params, branch3x3dbl, ['branch3x3dbl_3a', WIDE3]),
      chain(params, branch3x3dbl, ['branch3x3dbl_3b', TALL3]),
      chain(params, pool(x), ['branch_pool']),
    ],
    3,
  );
}
