import { tf, type Tensor, type Tensor3D, type Tensor4D } from '../../engine/index.js';
import { broadcast, layerNorm, linear, patchify, patchWeight, splitLast, under, type Params } from '../../nn/index.js';
import { plainBlock } from './blocks.js';
import { type VitConfig } from './config.js';
import { frequencies, gridPositionTable, layerRotation, type Grid } from './positions.js';
import { NOTHING, throughLayers, type Wanted } from '../stack.js';

export interface VitEncodeOptions {
  /** [n, patches], 1 where the patch is replaced by the mask token. */
  mask?: Tensor | undefined;
  wanted?: Wanted | undefined;
  /** Blocks keep nothing for the backward pass and are computed again in it. */
  recompute?: boolean | undefined;
}

export interface Encoded {
  /** [n, tokens, channels], or twice the channels (mean, then log-variance) under a Gaussian posterior. */
  latents: Tensor3D;
  /** `patch_tokens` [n, patches, c] before masking; `blocks.<i>` [n, 1 + patches + latent tokens, c]. */
  activations: Params;
}

/** images [n, h, w, 3] in [−1, 1] → latents. The caller owns the results. */
export function encode(
  config: VitConfig,
  params: Params,
  images: Tensor4D,
  { mask, wanted = NOTHING, recompute }: VitEncodeOptions = {},
): Encoded {
  return tf.tidy(() => {
    const own = under(params, 'encoder');
    const grid = gridOf(config, images);
    const patches = embedPatches(config, own, images);
    const sequence = joinTokens(config, own, mask ? withMaskTokens(own, patches, mask) : patches, grid);
    const { x, activations } = throughLayers(
      sequence,
      config.encoder.depth,
      (tokens, read, i) =>
        plainBlock(read, tokens, {
          heads: config.encoder.heads,
          rotation: layerRotation(config, config.encoder, read, i, grid, { before: 1, after: config.latentTokens }),
        }),
      { wanted, recompute, inputs: i => ({ ...under(own, `model.blocks.${i}`), ...frequencies(own) }) },
    );
    const count = config.latentTokens || grid[0] * grid[1];
    const normal = layerNorm(under(own, 'model.norm'), splitLast(x, count)[1]);
    const latents = linear(under(params, 'quant_conv'), normal) as Tensor3D;
    return { latents, activations: wanted('patch_tokens') ? { ...activations, patch_tokens: patches } : activations };
  });
}

const gridOf = ({ patchSize }: VitConfig, { shape: [, h, w] }: Tensor4D): Grid => [h / patchSize, w / patchSize];

function embedPatches({ patchSize }: VitConfig, own: Params, images: Tensor4D): Tensor {
  const { weight, bias } = under(own, 'model.patch_embed.proj');
  // Not through the layer's own gradient: the images need none, and TensorFlow.js leaves out what nobody needs.
  return linear({ weight: patchWeight(weight) }, patchify(images, patchSize)).add(bias);
}

/** Nothing is dropped: the sequence keeps its length. */
function withMaskTokens(own: Params, patches: Tensor, mask: Tensor): Tensor {
  const masked = mask.expandDims(-1);
  return patches.mul(masked.neg().add(1)).add(own.mask_token.mul(masked));
}

/** [class, patches, latent tokens], positions added; also under rotary positions, as in the published encoder. */
function joinTokens(config: VitConfig, own: Params, patches: Tensor, grid: Grid): Tensor {
  const [n, count] = patches.shape as [number, number];
  const [forClass, forPatches] = splitLast(gridPositionTable(config, own['model.pos_embed'], grid), count);
  const perImage = (tokens: Tensor): Tensor => broadcast(tokens, [n, tokens.shape[1]!, tokens.shape[2]!]);
  const parts = [perImage(own['model.cls_token'].add(forClass)), patches.add(forPatches)];
  if (config.latentTokens > 0) parts.push(perImage(own.latent_tokens.add(own.latent_pos_embed)));
  return tf.concat(parts, 1);
}
