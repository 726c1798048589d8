import { UserError } from '../../base/index.js';
import { loadParams, type HostArray, type Params, type Shapes } from '../../nn/index.js';
import type { OpenOptions } from '../tokenizer.js';
import { DECODER_F8, ENCODER_F32, ENCODER_F8, type TaesdLayer } from './model.js';

/** One of the family's sequences. */
export interface Sequence {
  role: 'encoder' | 'decoder';
  layers: readonly TaesdLayer[];
  /** Pixels per latent position along a side. */
  factor: number;
  /** Positions whose convolution has no bias. */
  withoutBias: (position: number) => boolean;
  /** Blocks that carry a pool in the variants that have pools: those of the lowest resolution. */
  pooled: readonly number[];
  /** Channels of every convolution but the first and last; one entry per plain convolution of the stem. */
  stem: readonly number[];
}

const follows =
  (layers: readonly TaesdLayer[], before: TaesdLayer) =>
  (position: number): boolean =>
    layers[position - 1] === before;

export const SEQUENCES: readonly Sequence[] = [
  {
    role: 'encoder',
    layers: ENCODER_F8,
    factor: 8,
    withoutBias: position => ENCODER_F8[position] === 'down',
    pooled: [11, 12, 13],
    stem: [64],
  },
  {
    role: 'decoder',
    layers: DECODER_F8,
    factor: 8,
    withoutBias: follows(DECODER_F8, 'up'),
    pooled: [3, 4, 5],
    stem: [64],
  },
  {
    role: 'encoder',
    layers: ENCODER_F32,
    factor: 32,
    withoutBias: position => ENCODER_F32[position] === 'down' && position > 2,
    pooled: [],
    stem: [32, 64],
  },
];

export interface TaesdNetwork {
  sequence: Sequence;
  params: Params;
  /** Channels of the latents. */
  channels: number;
}

/** The sequence that these keys are of, or undefined where they are none of the family's. Strangers do not count. */
export function sequenceOf(all: string[]): Sequence | undefined {
  const keys = all.filter(key => /^\d+\./.test(key));
  const positions = new Map(keys.map(key => [Number.parseInt(key, 10), key.includes('.conv.')]));
  return SEQUENCES.find(({ layers }) => {
    const parametric = layers.flatMap((layer, i) => (HAS_PARAMETERS.has(layer) ? [i] : []));
    return (
      positions.size === parametric.length &&
      parametric.every(i => positions.has(i)) &&
      keys.every(key => (layers[Number.parseInt(key, 10)] === 'block') === /^\d+\.(conv|pool|skip)\./.test(key))
    );
  });
}

const HAS_PARAMETERS = new Set<TaesdLayer>(['conv', 'down', 'block']);

/** Weights of one sequence, checked. */
export function loadNetwork(name: string, arrays: Record<string, HostArray>, options: OpenOptions): TaesdNetwork {
  const keys = Object.keys(arrays);
  const sequence = sequenceOf(keys);
  if (!sequence) throw new UserError(`${name}: not the weights of a TAESD encoder or decoder that maetok knows`);
  const edge = sequence.role === 'encoder' ? sequence.layers.length - 1 : 1;
  const outermost = `${edge}.weight`;
  if (!Object.hasOwn(arrays, outermost))
    throw new UserError(`${name}: tensor '${outermost}' is missing; is the file complete?`);
  const channels = arrays[outermost].shape[sequence.role === 'encoder' ? 0 : 1];
  const isPooled = keys.some(key => key.includes('.pool.'));
  return {
    sequence,
    channels,
    params: loadParams(name, arrays, sequenceShapes(sequence, channels, isPooled), options),
  };
}

/** Every parameter's key and shape. */
export function sequenceShapes(
  { role, layers, withoutBias, pooled, stem }: Sequence,
  channels: number,
  isPooled: boolean,
): Shapes {
  const width = stem[stem.length - 1];
  const first = role === 'encoder' ? 3 : channels;
  const last = role === 'encoder' ? channels : 3;
  const widths = [first, ...stem];
  const shapes: Shapes = {};
  let passed = 0;
  layers.forEach((layer, i) => {
    if (layer === 'block') {
      for (const part of [0, 2, 4]) Object.assign(shapes, conv(`${i}.conv.${part}`, width, width));
      if (isPooled && pooled.includes(i)) Object.assign(shapes, pool(i, width));
    } else if (HAS_PARAMETERS.has(layer)) {
      const out = i === layers.length - 1 ? last : (widths.at(passed + 1) ?? width);
      Object.assign(shapes, conv(String(i), widths.at(passed) ?? width, out, !withoutBias(i)));
      passed++;
    }
  });
  return shapes;
}

const conv = (at: string, inputs: number, out: number, bias = true): Shapes => ({
  [`${at}.weight`]: [out, inputs, 3, 3],
  ...(bias ? { [`${at}.bias`]: [out] } : {}),
});

const pool = (at: number, width: number): Shapes => ({
  [`${at}.pool.0.weight`]: [4 * width, width, 1, 1],
  [`${at}.pool.1.weight`]: [4 * width],
  [`${at}.pool.1.bias`]: [4 * width],
  [`${at}.pool.3.weight`]: [width, 4 * width, 1, 1],
});
