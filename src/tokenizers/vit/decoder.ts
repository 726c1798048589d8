import { tf, type Tensor, type Tensor3D, type Tensor4D } from '../../engine/index.js';
import {
  broadcast,
  lastModulatedNorm,
  layerNorm,
  linear,
  silu,
  splitLast,
  under,
  unpatchify,
  type Params,
} from '../../nn/index.js';
import { modulatedBlock, plainBlock } from './blocks.js';
import { gridSide, pixelDecoder, type DecoderSpec, type VitConfig } from './config.js';
import { frequencies, gridPositionTable, layerRotation, type Grid } from './positions.js';
import { NOTHING, throughLayers, type Wanted } from '../stack.js';

export interface DecodeOptions {
  /** Patches of the images; default: those of the model's image size. */
  grid?: Grid | undefined;
  wanted?: Wanted | undefined;
  /** Blocks keep nothing for the backward pass and are computed again in it. */
  recompute?: boolean | undefined;
}

export interface Decoded<T extends Tensor> {
  output: T;
  /** `blocks.<i>` [n, (1 +) patches + latent tokens, c]. */
  activations: Params;
}

/** latents [n, tokens, channels] → images [n, h, w, 3], not clamped. The caller owns the results. */
export function decode(
  config: VitConfig,
  params: Params,
  latents: Tensor3D,
  options: DecodeOptions = {},
): Decoded<Tensor4D> {
  return tf.tidy(() => {
    const { output, activations } = decodePatches(config, pixelDecoder(config), params, latents, options);
    const [rows, columns] = options.grid ?? ownGrid(config);
    return { output: unpatchify(output, config.patchSize, rows, columns), activations };
  });
}

/** Any of the model's decoders: latents [n, tokens, channels] → what it predicts per patch [n, patches, outputs]. */
export function decodePatches(
  config: VitConfig,
  spec: DecoderSpec,
  params: Params,
  latents: Tensor3D,
  { grid = ownGrid(config), wanted = NOTHING, recompute }: DecodeOptions = {},
): Decoded<Tensor3D> {
  return tf.tidy(() => {
    const own = under(params, spec.prefix);
    const condition = spec.kind === 'movq' ? silu(latents) : undefined;
    const surroundings = { before: spec.classToken ? 1 : 0, after: config.latentTokens };
    const { x, activations } = throughLayers(
      joinTokens(config, spec, own, linear(under(params, spec.lift), latents), grid),
      spec.depth,
      (tokens, read, i) => {
        const options = { heads: spec.heads, rotation: layerRotation(config, spec, read, i, grid, surroundings) };
        return condition ? modulatedBlock(read, tokens, read.condition, options) : plainBlock(read, tokens, options);
      },
      {
        wanted,
        recompute,
        inputs: i => ({
          ...under(own, `model.blocks.${i}`),
          ...frequencies(own),
          ...(condition ? { condition } : {}),
        }),
      },
    );
    const patches = x.slice([0, surroundings.before, 0], [-1, grid[0] * grid[1], -1]);
    const normal = normalise(config, own, patches, condition);
    return { output: linear(under(params, spec.readout), normal) as Tensor3D, activations };
  });
}

const ownGrid = (config: VitConfig): Grid => [gridSide(config), gridSide(config)];

/** [class where kept, one mask token per patch, latents]; where image tokens are the latents, they take the patches' places. */
function joinTokens(config: VitConfig, spec: DecoderSpec, own: Params, lifted: Tensor, grid: Grid): Tensor {
  const n = lifted.shape[0];
  const count = grid[0] * grid[1];
  const perImage = (tokens: Tensor): Tensor => broadcast(tokens, [n, tokens.shape[1]!, tokens.shape[2]!]);
  const [forClass, forPatches] =
    config.positions === 'absolute'
      ? splitLast(gridPositionTable(config, own['model.pos_embed'], grid), count)
      : [undefined, undefined];
  const placed = (tokens: Tensor, position: Tensor | undefined): Tensor => (position ? tokens.add(position) : tokens);
  const parts = spec.classToken ? [perImage(placed(own['model.cls_token'], forClass))] : [];
  if (config.latentTokens === 0) return tf.concat([...parts, placed(lifted, forPatches)], 1);
  const queries = placed(broadcast(own.mask_token, [1, count, spec.width]), forPatches);
  return tf.concat([...parts, perImage(queries), lifted.add(own.latent_pos_embed)], 1);
}

/** The final norm at the patches. Its modulation acts on latent tokens alone, so it matters where patches are these. */
function normalise({ latentTokens }: VitConfig, own: Params, patches: Tensor, condition: Tensor | undefined): Tensor {
  if (!condition) return layerNorm(under(own, 'model.norm'), patches);
  if (latentTokens > 0) return layerNorm(undefined, patches);
  const [shift, scale] = tf.split(linear(under(own, 'model.norm.adaLN_modulation.1'), condition), 2, -1);
  return lastModulatedNorm(patches, scale, shift);
}
