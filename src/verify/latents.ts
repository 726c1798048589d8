import type { VerifiedSystem, VerifyCase } from './case.js';
import type { HostArray } from '../nn/index.js';
import { openLatents, type Latents } from '../latents/index.js';
import type { ChannelStatistics } from '../latents/statistics.js';

/** LightningDiT's latents on disk: shards, statistics, normalisation. */
export const latentsSystem: VerifiedSystem = {
  name: 'lightningdit-latents',
  recognises: ({ system }) => String(system).startsWith('LightningDiT latent data set'),
  verify,
};

async function verify({ folder, config }: VerifyCase): Promise<Record<string, HostArray>> {
  const multiplier = Number(config.latent_multiplier ?? 1);
  const latents = await openLatents(folder);
  const both = await openLatents(folder, { flips: true });
  try {
    const statistics = await latents.statistics();
    const images = latents.count;
    const rows = (from: number): number[] => Array.from({ length: images }, (_, i) => from + i);
    const channel = (data: ArrayLike<number>): HostArray => ({ shape: [1, latents.channels, 1, 1], data });
    return {
      'output.labels': { shape: [images], data: latents.labels ?? [] },
      'output.mean': channel(statistics.mean),
      'output.std': channel(statistics.std),
      'output.plain_normalised': await normalised(latents, statistics, multiplier, rows(0)),
      'output.flip_normalised': await normalised(both, statistics, multiplier, rows(images)),
    };
  } finally {
    await Promise.all([latents.close(), both.close()]);
  }
}

/** Rows as (z − mean) / std · multiplier, in the layout of the files. */
async function normalised(
  latents: Latents,
  { mean, std }: ChannelStatistics,
  multiplier: number,
  indices: number[],
): Promise<HostArray> {
  const { tokens, channels, grid = [1, tokens] } = latents;
  const data = await latents.read(indices);
  const out = new Float32Array(data.length);
  for (let n = 0; n < indices.length; n++)
    for (let t = 0; t < tokens; t++)
      for (let c = 0; c < channels; c++) {
        const value = data[(n * tokens + t) * channels + c];
        out[(n * channels + c) * tokens + t] = ((value - mean[c]) / std[c]) * multiplier;
      }
  return { shape: [indices.length, channels, ...grid], data: out };
}
