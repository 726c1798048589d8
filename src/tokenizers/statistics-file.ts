import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { UserError } from '../base/index.js';
import { asFloat64, checked, readJson, readWeights, type NdArray } from '../io/index.js';
import { standardising, type Normalisation } from './normalisation.js';

/*
 * Statistics of latents as systems publish them: LightningDiT's and VTP's latents_stats.pt {mean, std}, RAE's stat.pt
 * {mean, var}, REPA-E's {latents_bias, latents_scale}, SVG's {dinov3_sp_mean, dinov3_sp_std}, diffusers' config fields,
 * and folders of latents, whose statistics were measured when they were extracted.
 */

/** [tokens, channels] of the latents. */
type LatentShape = readonly [tokens: number, channels: number];

/** RAE adds this to its variances. */
const VARIANCE_EPS = 1e-5;

/** @throws UserError where the file holds no statistics, or such of other latents. */
export async function readStatistics(path: string, latents: LatentShape): Promise<Normalisation> {
  if (!existsSync(path)) throw new UserError(`${path}: no such file of latent statistics`);
  const description = statSync(path).isDirectory() ? join(path, 'latents.json') : path;
  if (description.endsWith('.json')) return await measured(description);
  const tensors = await readWeights(path);
  return normalisationFrom(path, tensors, latents);
}

/** latents.json of a folder extracted by the same tokenizer, whose own shift and scale its numbers went through. */
const MEASURED = z.object({
  mean: z.array(z.number()),
  std: z.array(z.number()),
  meta: z.object({
    latent_shift: z.union([z.number(), z.array(z.number())]),
    latent_scale: z.union([z.number(), z.array(z.number())]),
  }),
});

async function measured(path: string): Promise<Normalisation> {
  const { mean, std, meta } = checked(path, await readJson(path, 'the description of a latents folder'), MEASURED);
  const own = (value: number | number[], c: number): number => (typeof value === 'number' ? value : value[c]);
  const shift = mean.map((value, c) => value / own(meta.latent_scale, c) + own(meta.latent_shift, c));
  return standardising(
    'channel',
    shift,
    std.map((value, c) => value / own(meta.latent_scale, c)),
    path,
  );
}

/** How files name what is subtracted and what is divided by, and how the second becomes a standard deviation. */
const NAMES: [shift: RegExp, spread: RegExp, std: (value: number) => number][] = [
  [/^(.*_)?mean$/, /^(.*_)?std$/, std => std],
  [/^(.*_)?mean$/, /^(.*_)?var$/, variance => Math.sqrt(variance + VARIANCE_EPS)],
  [/^latents_bias$/, /^latents_scale$/, scale => 1 / scale],
];

function normalisationFrom(path: string, tensors: Record<string, NdArray>, latents: LatentShape): Normalisation {
  const names = Object.keys(tensors);
  for (const [shift, spread, std] of NAMES) {
    const [mean, found] = [names.find(name => shift.test(name)), names.find(name => spread.test(name))];
    if (mean === undefined || found === undefined) continue;
    const [means, spreads] = [arranged(path, tensors[mean], latents), arranged(path, tensors[found], latents)];
    if (means.per !== spreads.per)
      throw new UserError(`${path}: '${mean}' is given per ${means.per}, '${found}' per ${spreads.per}`);
    return standardising(means.per, means.data, spreads.data.map(std), path);
  }
  throw new UserError(
    `${path}: holds no statistics of latents: they are called mean and std, mean and var, or latents_bias and latents_scale; it has ${names.slice(0, 5).join(', ') || 'nothing'}`,
  );
}

interface Arranged {
  per: Normalisation['per'];
  data: Float64Array;
}

/** One number, C of them ([1, C, 1, 1] too), or one for each position: [C, H, W] or [T, C] → token by token. */
export function arranged(
  name: string,
  { shape, data }: Pick<NdArray, 'shape' | 'data'>,
  [tokens, channels]: LatentShape,
): Arranged {
  const numbers = asFloat64(data);
  const sides = shape.filter(side => side !== 1);
  if (numbers.length === 1) return { per: 'all', data: numbers };
  if (numbers.length === channels && sides.length === 1) return { per: 'channel', data: numbers };
  if (numbers.length === tokens * channels) {
    const isGrid = sides.length === 3 && sides[0] === channels;
    return { per: 'position', data: isGrid ? transposed(numbers, channels, tokens) : numbers };
  }
  throw new UserError(
    `${name}: statistics of shape [${shape.join(', ')}] do not fit latents of ${tokens} tokens of ${channels} channels`,
  );
}

/** [C, T] → [T, C]. */
function transposed(data: Float64Array, channels: number, tokens: number): Float64Array {
  const result = new Float64Array(data.length);
  for (let c = 0; c < channels; c++) for (let t = 0; t < tokens; t++) result[t * channels + c] = data[c * tokens + t];
  return result;
}

/** A nested list of numbers, as JSON holds an array. */
type Nested = number | Nested[];

const STATISTICS = z.object({ latents_mean: z.unknown(), latents_std: z.unknown() }).partial();

/**
 * `latents_mean` and `latents_std` of a config, also one that keeps its fields under `parameters`; undefined where it has
 * none. They replace scaling_factor and shift_factor, as in the pipelines of Qwen-Image, Wan and REPA-E.
 * @throws UserError where one is without the other.
 */
export function configuredNormalisation(
  name: string,
  config: Record<string, unknown>,
  latents: LatentShape,
): Normalisation | undefined {
  const fields = [config, config.parameters].map(place => STATISTICS.safeParse(place)).filter(({ success }) => success);
  const field = (key: 'latents_mean' | 'latents_std') => fields.map(({ data }) => data?.[key] ?? null).find(isGiven);
  const [mean, std] = [field('latents_mean'), field('latents_std')];
  if (mean === undefined && std === undefined) return undefined;
  if (mean === undefined || std === undefined)
    throw new UserError(`${name}: config has latents_${mean === undefined ? 'std' : 'mean'} without its counterpart`);
  const read = (key: string, value: unknown): Arranged => {
    const field = `${name}: config field ${key}`;
    return arranged(field, nestedArray(field, value), latents);
  };
  const [shift, spread] = [read('latents_mean', mean), read('latents_std', std)];
  if (shift.per !== spread.per)
    throw new UserError(`${name}: config fields latents_mean and latents_std differ in shape`);
  return standardising(shift.per, shift.data, spread.data, 'config latents_mean, latents_std');
}

const isGiven = (value: unknown): boolean => value !== null;

/** The array that a config holds as a nested list, or as one number. @throws UserError where it is neither. */
export function nestedArray(field: string, value: unknown): { shape: number[]; data: Float64Array } {
  const shape: number[] = [];
  for (let at = value as Nested; Array.isArray(at); [at] = at) shape.push(at.length);
  const data = [value].flat(Infinity) as number[];
  if (data.some(number => typeof number !== 'number') || data.length !== shape.reduce((a, b) => a * b, 1))
    throw new UserError(`${field}: must be an array of numbers`);
  return { shape, data: Float64Array.from(data) };
}
