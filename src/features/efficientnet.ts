import { matMul, tf, type Tensor, type Tensor2D, type Tensor4D } from '../engine/index.js';
import { batchNorm, conv2d, depthwiseConv2d, under, type Params } from '../nn/index.js';
import { BLOCKS } from './efficientnet-shapes.js';

/*
 * EfficientNet-Lite0 (Tan & Le 2019, the variant without squeeze-and-excitation), as its PyTorch port names it.
 * Trained on ImageNet it is a real feature extractor of 1,280 numbers; it is never called Inception, nor its Fréchet
 * distance FID.
 */
const BATCH_EPS = 1e-3;

export interface EfficientNetOutput {
  /** Mean of the head's activation, [n, 1280]. */
  features: Tensor2D;
  /** Scores of the 1,000 ImageNet classes, [n, 1000]. */
  logits: Tensor2D;
  /** Output of each block, [n, h, w, c]. */
  blocks: Tensor4D[];
}

/** images [n, h, w, 3] as (v − 127) / 128 of 8-bit pixels. */
export function efficientNetLite0(params: Params, images: Tensor4D): EfficientNetOutput {
  const blocks: Tensor4D[] = [];
  const stem = (): Tensor =>
    activate(under(params, '_bn0'), conv2d(under(params, '_conv_stem'), images, { stride: 2 }));
  let x = tf.tidy(stem);
  BLOCKS.forEach(([, stride], i) => {
    const y = tf.tidy(() => invertedResidual(under(params, `_blocks.${i}`), x, stride));
    if (i === 0) x.dispose();
    x = y;
    blocks.push(y as Tensor4D);
  });
  const [features, logits] = tf.tidy(() => {
    const head = activate(under(params, '_bn1'), conv2d(under(params, '_conv_head'), x));
    const pooled: Tensor2D = head.mean([1, 2]);
    const scores = matMul(pooled, params['_fc.weight'], { transposeB: true }).add(params['_fc.bias']);
    return [pooled, scores as Tensor2D];
  });
  return { features, logits, blocks };
}

function invertedResidual(params: Params, x: Tensor, stride: number): Tensor {
  const expand = under(params, '_expand_conv');
  const wide = 'weight' in expand ? activate(under(params, '_bn0'), conv2d(expand, x)) : x;
  const depthwise = depthwiseConv2d(under(params, '_depthwise_conv'), wide, { stride });
  const mixed = activate(under(params, '_bn1'), depthwise);
  const y = batchNorm(under(params, '_bn2'), conv2d(under(params, '_project_conv'), mixed), BATCH_EPS);
  return stride === 1 && x.shape[3] === y.shape[3] ? x.add(y) : y;
}

const activate = (norm: Params, x: Tensor): Tensor => tf.relu6(batchNorm(norm, x, BATCH_EPS));
