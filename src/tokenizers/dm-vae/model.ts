import { tf, type Tensor3D, type Tensor4D } from '../../engine/index.js';
import { conv2d, mlp, prefixed, silu, splitLast, under, upsample2x, type Params } from '../../nn/index.js';
import { visionTokens, type Vision } from '../../vision/index.js';
import { toGrid } from '../grid.js';
import { decodeFeatures, LDM_NORM } from '../ldm/index.js';

/** images [n, h, w, 3] with ImageNet's normalisation → latents [n, patches, channels]. */
export function encode(encoder: Vision, params: Params, images: Tensor4D): Tensor3D {
  return tf.tidy(() => {
    const { hidden, extra } = visionTokens(encoder.config, encoder.params, images);
    const patches = splitLast(hidden, hidden.shape[1] - extra)[1];
    const layers = under(params, 'bottle_neck.mlp');
    const two = { ...prefixed(under(layers, '0'), 'fc1'), ...prefixed(under(layers, '2'), 'fc2') };
    return mlp(two, patches, silu) as Tensor3D;
  });
}

/** latents [n, tokens, channels] → images [n, h, w, 3] in [−1, 1]. */
export function decode(params: Params, latents: Tensor3D): Tensor4D {
  return tf.tidy(() => {
    const own = under(params, 'decoder');
    const doubled = conv2d(under(own, 'conv_in.0.conv'), upsample2x(toGrid(latents)));
    return decodeFeatures(LDM_NORM, { ...own, ...prefixed(under(own, 'conv_in.1'), 'conv_in') }, doubled);
  });
}
