import { asFloat64, type NdArray } from '../../io/index.js';
import type { Normalisation } from '../normalisation.js';
import { arranged } from '../statistics-file.js';

/** diffusers adds this to the standard deviations. */
const STD_EPS = 1e-5;

/** Buffers of diffusers' AutoencoderRAE. */
export const STATISTICS = { mean: '_latents_mean', std: '_latents_std' } as const;

type Statistic = Pick<NdArray, 'shape' | 'data'>;

/**
 * The normalisation of diffusers' AutoencoderRAE, (z − mean) / (std + ε) · scaling_factor, by the buffers in its weights
 * or, where these have none, by its config: one number, one per channel or one per position.
 */
export function raeNormalisation(
  name: string,
  weights: Record<string, NdArray>,
  raw: Record<string, unknown>,
  factor: number,
  latents: readonly [tokens: number, channels: number],
): Normalisation {
  const read = (key: string, otherwise: number): ReturnType<typeof arranged> => {
    const field = nested(raw[key.slice(1)]);
    const found: Statistic = field ?? { shape: [1], data: Float64Array.of(otherwise) };
    return arranged(`${name}: ${key}`, Object.hasOwn(weights, key) ? weights[key] : found, latents);
  };
  const [mean, std] = [read(STATISTICS.mean, 0), read(STATISTICS.std, 1)];
  const per = (['position', 'channel', 'all'] as const).find(one => mean.per === one || std.per === one)!;
  const size = { all: 1, channel: latents[1], position: latents[0] * latents[1] }[per];
  return {
    per,
    shift: repeated(mean.data, size),
    scale: repeated(std.data, size).map(value => factor / (value + STD_EPS)),
    source: Object.hasOwn(weights, STATISTICS.mean)
      ? `${STATISTICS.mean}, ${STATISTICS.std}`
      : 'config latents_mean, latents_std',
  };
}

/** One number or one per channel, as often as there are positions. */
const repeated = (data: Float64Array, size: number): Float64Array =>
  Float64Array.from({ length: size }, (_, i) => data[i % data.length]);

/** A config's nested list. */
function nested(value: unknown): Statistic | undefined {
  if (!Array.isArray(value)) return undefined;
  const shape: number[] = [];
  for (let at: unknown = value; Array.isArray(at); at = at[0] as unknown) shape.push(at.length);
  return { shape, data: asFloat64(Float64Array.from(value.flat(Infinity) as number[])) };
}
