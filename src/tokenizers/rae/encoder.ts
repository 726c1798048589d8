import { tf, type Tensor3D, type Tensor4D } from '../../engine/index.js';
import { bicubic, resample, type Params } from '../../nn/index.js';
import { finalNorm, visionTokens, type VisionConfig } from '../../vision/index.js';
import type { RaeConfig } from './config.js';

/**
 * images [n, h, w, 3] in [−1, 1], of any size → the patch tokens of the frozen encoder [n, t, c], which are RAE's latents
 * before their statistics. The caller owns the result.
 */
export function encodeTokens(config: RaeConfig, vision: VisionConfig, params: Params, images: Tensor4D): Tensor3D {
  return tf.tidy(() => {
    const pixels = encoderPixels(config, images);
    if (config.layers) return averagedTokens(config.layers, vision, params, pixels);
    const { hidden, extra } = visionTokens(vision, params, pixels);
    return patchesOf(hidden, extra);
  });
}

/** Pixels in [0, 1], resized as PyTorch does it without antialiasing, and standardised for the encoder. */
function encoderPixels({ inputSize, mean, std }: RaeConfig, images: Tensor4D): Tensor4D {
  const [, height, width] = images.shape;
  const fits = height === inputSize && width === inputSize;
  const sized = fits ? images : resample(images, inputSize, inputSize, bicubic);
  return sized.mul(0.5).add(0.5).sub(mean).div<Tensor4D>(std);
}

const patchesOf = (tokens: Tensor3D, extra: number): Tensor3D => tokens.slice([0, extra, 0], [-1, -1, -1]);

/** RAEv2: the mean over layers of their normalised patch tokens, and the mean over positions of the last of them. */
function averagedTokens(layers: number[], vision: VisionConfig, params: Params, pixels: Tensor4D): Tensor3D {
  const seen = visionTokens(vision, params, pixels, { layers: layers.map(block => block + 1) });
  const normal = seen.layers.map(tokens => patchesOf(finalNorm(vision, params, tokens), seen.extra));
  const whole = normal[normal.length - 1].mean<Tensor3D>(1, true);
  return tf.addN(normal).div<Tensor3D>(normal.length).add(whole);
}
