import { UserError } from '../../../base/index.js';
import { gridSide, type VitConfig } from '../../../tokenizers/vit/index.js';
import { openFeatureTarget, type FeatureTarget } from './feature-target.js';
import type { TrainingImages } from '../tokenizer-data.js';
import type { VitTrainingOptions } from './options.js';
import type { TrainingRequest } from '../trainable.js';

/** Frozen encoders' features in a tokenizer's training. */
export interface VitFeatures {
  /** Targets that auxiliary decoders may predict. */
  teachers: FeatureTarget[];
  /** Features that latents are aligned with. */
  align: FeatureTarget | undefined;
  /** Digests by role. */
  inputs: Record<string, string>;
  close(): Promise<void>;
}

/** Name under which a batch carries the features that latents are aligned with. */
const ALIGN = 'align';

/** Opens the teachers among the auxiliary targets, and the features to align with. */
export async function openVitFeatures(
  aux: string[],
  config: VitConfig,
  { train, augmentation }: TrainingImages,
  { options, log }: TrainingRequest<VitTrainingOptions>,
): Promise<VitFeatures> {
  const patches = gridSide(config) ** 2;
  const open = (name: string, spec: string): Promise<FeatureTarget> =>
    openFeatureTarget(name, spec, { patches, train, augmentation, log });
  const teachers: FeatureTarget[] = [];
  for (const [name, spec] of options.teacher.map(split)) {
    if (!aux.includes(name))
      throw new UserError(`--teacher ${name}: nothing predicts it; list it in --aux too, e.g. --aux hog,${name}`);
    teachers.push(await open(name, spec));
  }
  if (options.align !== undefined && config.latentTokens > 0)
    throw new UserError('--align: pairs latents with patches one to one; give --latent-tokens 0');
  const align = options.align === undefined ? undefined : await open(ALIGN, options.align);
  const all = align ? [...teachers, align] : teachers;
  return {
    teachers,
    align,
    inputs: Object.fromEntries(all.map(({ name, digest }) => [name === ALIGN ? name : `teacher ${name}`, digest])),
    close: async () => {
      for (const target of all) await target.close();
    },
  };
}

function split(named: string): [name: string, spec: string] {
  const at = named.indexOf('=');
  return [named.slice(0, at), named.slice(at + 1)];
}
