import { tf, type Tensor, type Tensor3D, type Tensor4D } from '../../engine/index.js';
import {
  attention,
  broadcast,
  gelu,
  layerNorm,
  linear,
  mlp,
  patchify,
  patchWeight,
  prefixed,
  residual,
  splitLast,
  under,
  type Params,
} from '../../nn/index.js';
import { visionTokens, type Vision } from '../../vision/index.js';
import { toGrid } from '../grid.js';
import { decodeFeatures, LDM_NORM } from '../ldm/index.js';
import type { SvgConfig } from './shapes.js';

/** The authors' residual encoder has as many whatever its width. */
const HEADS = 8;

/** images [n, h, w, 3] with ImageNet's normalisation → frozen features and residual channels [n, patches, c + r]. */
export function encode(
  { residual }: SvgConfig,
  frozen: Vision,
  params: Params,
  images: Tensor4D,
  matches: boolean,
): Tensor3D {
  return tf.tidy(() => {
    const { hidden, extra } = visionTokens(frozen.config, frozen.params, images);
    const features = splitLast(hidden, hidden.shape[1] - extra)[1] as Tensor3D;
    const details = residualTokens(under(params, 'extra_vit'), residual.patchSize, residual.depth, images);
    return tf.concat([features, matches ? matched(features, details) : details], 2);
  });
}

/** latents [n, tokens, channels] → images [n, h, w, 3] in [−1, 1]. */
export const decode = (params: Params, latents: Tensor3D): Tensor4D =>
  decodeFeatures(LDM_NORM, under(params, 'decoder'), toGrid(latents));

/** torchvision's vision transformer with a head of two layers at every patch. */
function residualTokens(params: Params, patchSize: number, depth: number, images: Tensor4D): Tensor3D {
  const { weight, bias } = under(params, 'conv_proj');
  const patches = linear({ weight: patchWeight(weight), bias }, patchify(images, patchSize));
  const first = broadcast(params.class_token, [images.shape[0], 1, params.class_token.shape[2]!]);
  let x = tf.concat([first, patches], 1).add<Tensor>(params['encoder.pos_embedding']);
  for (let i = 0; i < depth; i++)
    x = tf.tidy(() => residualBlock(under(params, `encoder.layers.encoder_layer_${i}`), x));
  const normal = splitLast(layerNorm(under(params, 'encoder.ln'), x), patches.shape[1]!)[1];
  return linear(under(params, 'heads.2'), gelu(linear(under(params, 'heads.0'), normal))) as Tensor3D;
}

function residualBlock(params: Params, x: Tensor): Tensor {
  const { in_proj_weight: weight, in_proj_bias: bias, ...rest } = under(params, 'self_attention');
  const layers = { 'qkv.weight': weight, 'qkv.bias': bias, ...prefixed(under(rest, 'out_proj'), 'proj') };
  const middle = residual(x, attention(layers, layerNorm(under(params, 'ln_1'), x), { heads: HEADS }));
  const two = { ...prefixed(under(params, 'mlp.0'), 'fc1'), ...prefixed(under(params, 'mlp.3'), 'fc2') };
  return residual(middle, mlp(two, layerNorm(under(params, 'ln_2'), middle)));
}

/**
 * Residual channels at the mean and spread that the features' channels have on average over the image's patches. The
 * authors average over the batch as well; here an image's latents do not depend on the others beside it.
 */
function matched(features: Tensor3D, details: Tensor3D): Tensor3D {
  const [from, to] = [averages(details), averages(features)];
  return details.sub(from.mean).div(from.std.add(1e-6)).mul(to.std).add(to.mean);
}

/** Mean and unbiased standard deviation of each channel over the tokens, both averaged over channels: [n, 1, 1]. */
function averages(x: Tensor3D): { mean: Tensor; std: Tensor } {
  const tokens = x.shape[1];
  const mean = x.mean(1, true);
  const std = x
    .sub(mean)
    .square()
    .sum(1, true)
    .div(tokens - 1)
    .sqrt();
  return { mean: mean.mean(2, true), std: std.mean(2, true) };
}
