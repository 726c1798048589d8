import { tf, type Tensor, type Tensor3D, type Tensor4D } from '../../engine/index.js';
import {
  attention,
  broadcast,
  children,
  conv2d,
  gatedResidual,
  layerNorm,
  linear,
  mlp,
  patchify,
  patchWeight,
  pixelShuffle,
  residual,
  rmsNorm,
  splitLast,
  swiGlu,
  under,
  type Params,
  type Rotation,
} from '../../nn/index.js';
import { toGrid, toTokens } from '../grid.js';
import type { VtpConfig, VtpStack } from './config.js';
import { gridRotation } from './positions.js';

/** Periods of the rotary positions of both stacks. */
export interface Periods {
  encoder: readonly number[];
  decoder: readonly number[];
}

/** images [n, h, w, 3] with ImageNet's normalisation → latents [n, patches, channels]. */
export function encode(config: VtpConfig, periods: Periods, params: Params, images: Tensor4D): Tensor3D {
  return tf.tidy(() => {
    const own = under(params, 'trunk');
    const [n, height, width] = images.shape;
    const grid = [height / config.patchSize, width / config.patchSize] as const;
    const { weight, bias } = under(own, 'patch_embed.proj');
    const patches = linear({ weight: patchWeight(weight), bias }, patchify(images, config.patchSize));
    const before = [own.cls_token, ...('storage_tokens' in own ? [own.storage_tokens] : [])];
    const extra = 1 + config.storageTokens;
    const forEach = before.map(tokens => broadcast(tokens, [n, tokens.shape[1]!, config.encoder.width]));
    const turned = gridRotation(periods.encoder, ...grid, extra);
    const tokens = throughStack(config.encoder, own, tf.concat([...forEach, patches], 1), turned);
    const last = splitLast(tokens, grid[0] * grid[1])[1];
    return ('feature_bottleneck.weight' in own ? linear(under(own, 'feature_bottleneck'), last) : last) as Tensor3D;
  });
}

/** latents [n, tokens, channels] → images [n, h, w, 3] with ImageNet's normalisation. */
export function decode(config: VtpConfig, periods: Periods, params: Params, latents: Tensor3D): Tensor4D {
  return tf.tidy(() => {
    const own = under(params, 'pixel_decoder');
    const side = Math.sqrt(latents.shape[1]);
    const lifted = toTokens(conv2d(under(own, 'proj_in'), toGrid(latents)));
    const tokens = throughStack(config.decoder, own, lifted, gridRotation(periods.decoder, side, side, 0));
    return pixelShuffle(conv2d(under(own, 'proj_out'), toGrid(tokens)), config.upscale);
  });
}

function throughStack(stack: VtpStack, params: Params, tokens: Tensor, turned: Rotation): Tensor {
  const end = children(params, 'blocks').reduce((x, block) => tf.tidy(() => through(stack, block, x, turned)), tokens);
  return normalised(stack, under(params, 'norm'), end);
}

function through(stack: VtpStack, params: Params, x: Tensor, turned: Rotation): Tensor {
  const { heads, gated, qkNorm } = stack;
  const grown = (before: Tensor, y: Tensor, scale: string): Tensor =>
    scale in params ? gatedResidual(before, y, params[scale]) : residual(before, y);
  const attended = attention(under(params, 'attn'), normalised(stack, under(params, 'norm1'), x), {
    heads,
    rotation: turned,
    // The authors' RMSNorm, whatever the norms of the tokens are.
    qkNorm: qkNorm ? { kind: 'rms', eps: 1e-5 } : undefined,
  });
  const middle = grown(x, attended, 'ls1.gamma');
  const layers = gated ? swiGlu : mlp;
  return grown(middle, layers(under(params, 'mlp'), normalised(stack, under(params, 'norm2'), middle)), 'ls2.gamma');
}

const normalised = ({ norm, eps }: VtpStack, params: Params, x: Tensor): Tensor =>
  (norm === 'rms' ? rmsNorm : layerNorm)(params, x, eps);
