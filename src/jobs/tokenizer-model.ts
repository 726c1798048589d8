import { UserError } from '../base/index.js';
import {
  auxPreset,
  IMAGE_TARGETS,
  PUBLISHED_RATIO,
  vitConfigSchema,
  vitPreset,
  type AuxTarget,
  type MaskRatio,
  type VitConfig,
  type VitModel,
  type VitRecipe,
} from '../tokenizers/vit/index.js';
import type { TokenizerOptions } from './tokenizer-options.js';

/** The network that the options describe and how it is to be trained. @throws UserError for options that do not fit. */
export function tokenizerModel(model: VitModel, options: TokenizerOptions): { config: VitConfig; recipe: VitRecipe } {
  const mask = maskRatio(model, options);
  const config = withOverrides(vitPreset(model, options.preset), options);
  const targets = auxTargets(model, options, config.patchSize);
  const { auxOver, l1, l2, kl } = options;
  if (targets.length > 0 && auxOver === 'masked' && !mask)
    throw new UserError(
      '--aux predicts masked patches, of which there are none; give --mask 0.4-0.6 or --aux-over all',
    );
  return {
    config: checked({ ...config, maskToken: mask !== undefined, ...auxStack(options, targets) }),
    recipe: { mask, targets, auxOver, l1, l2, kl },
  };
}

function withOverrides(preset: VitConfig, options: TokenizerOptions): VitConfig {
  const { encoder, decoder } = preset;
  const { width = encoder.width, depth = encoder.depth, heads = encoder.heads } = options;
  return {
    ...preset,
    imageSize: options.imageSize ?? preset.imageSize,
    patchSize: options.patchSize ?? preset.patchSize,
    latentTokens: options.latentTokens ?? preset.latentTokens,
    latentChannels: options.latentChannels ?? preset.latentChannels,
    positions: options.positions ?? preset.positions,
    encoder: { width, depth, heads },
    decoder: { ...decoder, width, depth, heads, kind: options.decoder ?? decoder.kind },
  };
}

function checked(config: VitConfig): VitConfig {
  const result = vitConfigSchema.safeParse(config);
  if (result.success) return result.data;
  throw new UserError(`${result.error.issues[0].message}; change --image-size, --patch-size, --width or --heads`);
}

function maskRatio(model: VitModel, { mask }: TokenizerOptions): MaskRatio | undefined {
  if (mask === undefined) return model === 'maetok' ? PUBLISHED_RATIO : undefined;
  if (mask === 'off') return undefined;
  const [min, max = min] = mask.split('-').map(Number);
  if (min <= max) return { ...PUBLISHED_RATIO, min, max };
  throw new UserError(`--mask ${mask}: the smaller share comes first, as in 0.4-0.6`);
}

function auxTargets(model: VitModel, { aux, auxWeight }: TokenizerOptions, patchSize: number): AuxTarget[] {
  const names = (aux ?? (model === 'maetok' ? ['hog'] : [])).filter(name => name !== 'none');
  const unknown = names.find(name => !Object.hasOwn(IMAGE_TARGETS, name));
  if (unknown !== undefined)
    throw new UserError(
      `--aux ${unknown}: no such target; there are ${Object.keys(IMAGE_TARGETS).join(', ')} and none`,
    );
  return [...new Set(names)].map(name => ({ ...IMAGE_TARGETS[name](patchSize), weight: auxWeight }));
}

function auxStack({ preset, auxWidth, auxDepth }: TokenizerOptions, targets: AuxTarget[]): Pick<VitConfig, 'aux'> {
  if (targets.length === 0) return {};
  const { width, depth, heads } = auxPreset(preset);
  return {
    aux: {
      width: auxWidth ?? width,
      depth: auxDepth ?? depth,
      heads,
      classToken: true,
      targets: Object.fromEntries(targets.map(target => [target.name, target.width])),
    },
  };
}
