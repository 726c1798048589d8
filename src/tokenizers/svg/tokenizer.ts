import { UserError } from '../../base/index.js';
import { tf } from '../../engine/index.js';
import { loadParams, under } from '../../nn/index.js';
import { readVision } from '../../vision/index.js';
import { tidied } from '../grid.js';
import { toImagenet } from '../imagenet.js';
import { UNNORMALISED } from '../normalisation.js';
import type { OpenOptions, Tokenizer, TokenizerSource } from '../tokenizer.js';
import { matchesDistribution, shownSvg } from './config.js';
import { decode, encode } from './model.js';
import { svgShapes } from './shapes.js';

const RESIDUAL = 'extra_vit.conv_proj.weight';

/** Whether these are SVG's own weights, or those after a DINOv3 in a file of its own (`svg:DINOV3,SVG`). */
export const isSvg = (weights: Record<string, unknown>): boolean =>
  Object.hasOwn(weights, RESIDUAL) || Object.hasOwn(weights, `decoder.${RESIDUAL}`);

/** What only training uses, and a norm that the authors define and never apply. */
const UNUSED = /^(loss|norm_vit)\.|^(mask_token|colorize)$/;

/** Opens SVG (Shi et al. 2025): DINOv3's features, a residual encoder beside them, latent diffusion's decoder. */
export async function openSvg(source: TokenizerSource, options: OpenOptions): Promise<Tokenizer> {
  const { name, weights, digest } = source;
  const own = Object.hasOwn(weights, RESIDUAL) ? weights : under(weights, 'decoder');
  const frozenWeights = under(weights, 'encoder');
  if (Object.keys(frozenWeights).length === 0)
    throw new UserError(`${name}: holds no DINOv3, of whose features SVG's latents consist; give both, svg:DINOV3,SVG`);
  const config = shownSvg(name, own);
  const params = loadParams(name, own, svgShapes(config), {
    ...options,
    ignores: key => UNUSED.test(key) || key.startsWith('encoder.'),
  });
  const frozen = await readVision({ name, weights: frozenWeights, config: source.config });
  const matches = matchesDistribution(source.config);
  const side = Math.sqrt(config.residual.positions - 1);
  const tensors = [...Object.values(params), ...Object.values(frozen.params)];
  return {
    name: 'svg',
    family: 'svg',
    imageSize: side * config.residual.patchSize,
    latentShape: [side * side, config.decoder.zChannels],
    grid: [side, side],
    parameters: tensors.reduce((sum, { size }) => sum + size, 0),
    digest,
    posterior: 'none',
    // Its own are published beside its code: dinov3_sp_stats.pt.
    normalisation: UNNORMALISED,
    pixels: 'RGB, ImageNet mean and standard deviation',
    encode: images => tidied(() => encode(config, frozen, params, toImagenet(images), matches)),
    decode: latents => tidied(() => decode(params, latents)),
    dispose: () => tf.dispose(tensors),
  };
}
