import { RandomStream } from '../../engine/index.js';
import { frozenRows, meanVariance, type FrozenSet } from '../../diffusion/index.js';
import type { NormalisedLatents } from '../../latents/index.js';
/** Seed of the noise, whatever the seed of the training, so that the curves of several runs are comparable. */
export const FROZEN_SEED = 0;

/** Frozen latents, noise and times for measuring the loss on some of the images; read once. */
export async function frozenSet(
  latents: NormalisedLatents,
  images: Int32Array,
  { bins, samples, seed }: { bins: number; samples: number; seed: number },
): Promise<FrozenSet> {
  const perBin = Math.max(1, Math.ceil(samples / bins));
  const places = frozenRows(images.length, bins, perBin);
  const data = await latents.read(places.map(place => images[place]));
  // Where images are fewer than places they come again: the variance is that of each once.
  const once = data.subarray(0, Math.min(images.length, places.length) * latents.width);
  return {
    latents: data,
    labels: places.map(place => latents.label(images[place])),
    bins,
    perBin,
    variance: meanVariance(once, latents.width),
    noise: new RandomStream(seed).for('frozen noise'),
  };
}
