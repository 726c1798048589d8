import { tf, type Tensor, type Tensor3D, type Tensor4D } from '../../engine/index.js';
import {
  attention,
  children,
  layerNorm,
  linear,
  mlp,
  patchify,
  patchWeight,
  splitLast,
  under,
  type Params,
} from '../../nn/index.js';
import { toImagenet } from '../imagenet.js';

/**
 * Patch tokens of a frozen vision transformer after its last norm: images [n, h, w, 3] in [−1, 1] → [n, patches, c].
 * A class token and LayerScale are where the weights have them (DINOv2 has both, SigLIP neither). All teachers are
 * given ImageNet's normalisation, SigLIP too, as the authors do.
 */
export function teacherTokens(params: Params, heads: number, images: Tensor4D): Tensor3D {
  return tf.tidy(() => {
    const { weight, bias } = under(params, 'patch_embed.proj');
    const patches = linear({ weight: patchWeight(weight), bias }, patchify(toImagenet(images), weight.shape[2]!));
    let x: Tensor = patches;
    if ('cls_token' in params) x = tf.concat([tf.tile(params.cls_token, [images.shape[0], 1, 1]), patches], 1);
    x = x.add(params.pos_embed);
    for (const block of children(params, 'blocks')) x = tf.tidy(() => teacherBlock(block, x, heads));
    return splitLast(layerNorm(under(params, 'norm'), x), patches.shape[1]!)[1] as Tensor3D;
  });
}

function teacherBlock(params: Params, x: Tensor, heads: number): Tensor {
  const scaled = (y: Tensor, scale: string): Tensor => (scale in params ? y.mul(params[scale]) : y);
  const attended = attention(under(params, 'attn'), layerNorm(under(params, 'norm1'), x), { heads });
  const middle = x.add<Tensor>(scaled(attended, 'ls1.gamma'));
  return middle.add(scaled(mlp(under(params, 'mlp'), layerNorm(under(params, 'norm2'), middle)), 'ls2.gamma'));
}
