import { isRecord, UserError } from '../../base/index.js';
import { under } from '../../nn/index.js';
import { shownDecoder } from '../ldm/index.js';
import type { SvgConfig } from './shapes.js';

type Weights = Record<string, { shape: number[] }>;

/** Sizes as the weights show them. */
export function shownSvg(name: string, weights: Weights): SvgConfig {
  const side = (key: string, axis: number): number => {
    if (!Object.hasOwn(weights, key)) throw new UserError(`${name}: tensor '${key}' is missing; is the file complete?`);
    return weights[key].shape[axis];
  };
  let depth = 0;
  while (Object.hasOwn(weights, `${layer(depth)}.ln_1.weight`)) depth++;
  return {
    residual: {
      width: side('extra_vit.conv_proj.weight', 0),
      depth,
      hidden: side(`${layer(0)}.mlp.0.weight`, 0),
      patchSize: side('extra_vit.conv_proj.weight', 2),
      positions: side('extra_vit.encoder.pos_embedding', 1),
      outputs: side('extra_vit.heads.2.weight', 0),
    },
    decoder: shownDecoder(name, under(weights, 'decoder'), side('decoder.conv_in.weight', 1)),
  };
}

const layer = (i: number): string => `extra_vit.encoder.layers.encoder_layer_${i}`;

/**
 * Whether the residual channels are given the mean and spread of the frozen features: `use_outnorm` of the authors' YAML,
 * where it stands under model.params.extra_vit_config; true as in what they trained.
 */
export function matchesDistribution(config: Record<string, unknown>): boolean {
  const places = ['model', 'params', 'extra_vit_config'].reduce<Record<string, unknown>[]>(
    (found, key) => {
      const inner = found[found.length - 1][key];
      return isRecord(inner) ? [...found, inner] : found;
    },
    [config],
  );
  const told = places.map(place => place.use_outnorm).find(value => typeof value === 'boolean');
  return told ?? true;
}
