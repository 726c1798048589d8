import { kebab, UserError } from '../../../base/index.js';
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
} from '../../../tokenizers/vit/index.js';
import type { VitTrainingOptions } from './options.js';

/** What is opened before the network is determined. */
export interface ModelParts {
  /** Features that auxiliary decoders may predict. */
  teachers?: AuxTarget[];
  /** The network of the run to start from. */
  start?: VitConfig | undefined;
  /** Updates of the whole training. */
  steps?: number;
}

/** The network that the options describe and how it is to be trained. @throws UserError for options that do not fit. */
export function vitFromOptions(
  model: VitModel,
  options: VitTrainingOptions,
  { teachers = [], start, steps }: ModelParts = {},
): { config: VitConfig; recipe: VitRecipe } {
  const mask = maskRatio(model, options);
  const config = backbone(model, options, start);
  const targets = auxTargets(model, options, config.patchSize, teachers);
  const { auxOver, l1, l2, kl, stage, recompute } = options;
  if (targets.length > 0 && auxOver === 'masked' && !mask)
    throw new UserError('--aux predicts masked patches, but none are masked; give --mask 0.4-0.6 or --aux-over all');
  refuseSizes(config, options, teachers);
  return {
    config: checked({ ...config, maskToken: config.maskToken || mask !== undefined, ...auxStack(options, targets) }),
    recipe: { mask, maskFade: stage === 'decoder' ? steps : undefined, targets, auxOver, l1, l2, kl, recompute },
  };
}

/** Options that say what the network is. */
const ARCHITECTURE = [
  ...(['imageSize', 'patchSize', 'latentTokens', 'latentChannels'] as const),
  ...(['width', 'depth', 'heads', 'positions', 'decoder'] as const),
];

/** Encoder and decoder, without what only training adds. */
export function backbone(model: VitModel, options: VitTrainingOptions, start?: VitConfig): VitConfig {
  const preset = vitPreset(model, options.preset);
  if (!start) return withOverrides({ ...preset, maskToken: false }, options);
  const settled = ARCHITECTURE.find(name => options[name] !== undefined);
  if (settled !== undefined)
    throw new UserError(`--from: --${kebab(settled)} is determined by the run that this one starts from; leave it out`);
  if (start.posterior !== preset.posterior)
    throw new UserError(
      `--from: that run is ${start.posterior === 'none' ? 'no' : 'a'} kl-vae, and so must this one be`,
    );
  return { ...start, aux: undefined };
}

function refuseSizes(
  { imageSize, patchSize }: VitConfig,
  { sizes, align }: VitTrainingOptions,
  teachers: AuxTarget[],
): void {
  const uneven = sizes?.find(size => size % patchSize !== 0);
  if (uneven !== undefined) throw new UserError(`--sizes ${uneven}: is not a multiple of the patch size ${patchSize}`);
  const other = sizes?.find(size => size !== imageSize);
  if (other !== undefined && (teachers.length > 0 || align !== undefined))
    throw new UserError(
      `--sizes ${other}: features of --teacher and --align exist at ${imageSize} pixels only; leave out one of the two`,
    );
}

function withOverrides(preset: VitConfig, options: VitTrainingOptions): VitConfig {
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

function maskRatio(model: VitModel, { mask }: VitTrainingOptions): MaskRatio | undefined {
  if (mask === undefined) return model === 'maetok' ? PUBLISHED_RATIO : undefined;
  if (mask === 'off') return undefined;
  const [min, max = min] = mask.split('-').map(Number);
  if (min <= max) return { ...PUBLISHED_RATIO, min, max };
  throw new UserError(`--mask ${mask}: the smaller share comes first, as in 0.4-0.6`);
}

function auxTargets(
  model: VitModel,
  options: VitTrainingOptions,
  patchSize: number,
  teachers: AuxTarget[],
): AuxTarget[] {
  const known = [...Object.values(IMAGE_TARGETS).map(target => target(patchSize)), ...teachers];
  const weight = weightOf(options.auxWeight);
  return auxNames(model, options).map(name => {
    const target = known.find(one => one.name === name);
    if (target) return { ...target, weight: weight(name) };
    throw new UserError(
      `--aux ${name}: no such target; choose from ${known.map(one => one.name).join(', ')} and none, or define it with --teacher ${name}=SPEC`,
    );
  });
}

/** Targets of the auxiliary decoders; none in a stage that does not train the encoder. */
export function auxNames(model: VitModel, { aux, stage }: VitTrainingOptions): string[] {
  const names = aux ?? (model === 'maetok' && stage === 'all' ? ['hog'] : []);
  return [...new Set(names.filter(name => name !== 'none'))];
}

/** `1`, or `hog=1,dinov2=0.5`: weight by name. */
function weightOf(weights: string[]): (name: string) => number {
  const pairs = weights.map(weight => weight.split('='));
  const common = Number(pairs.find(pair => pair.length === 1)?.[0] ?? 1);
  const own = new Map(pairs.filter(pair => pair.length === 2).map(([name, value]) => [name, Number(value)]));
  return name => own.get(name) ?? common;
}

function auxStack({ preset, auxWidth, auxDepth }: VitTrainingOptions, targets: AuxTarget[]): Pick<VitConfig, 'aux'> {
  if (targets.length === 0) return {};
  const { width, depth, heads, decoder } = auxPreset(preset);
  return {
    aux: {
      width: auxWidth ?? width,
      depth: auxDepth ?? depth,
      heads,
      kind: decoder,
      classToken: true,
      targets: Object.fromEntries(targets.map(target => [target.name, target.width])),
    },
  };
}
