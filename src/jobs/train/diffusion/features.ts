import { UserError, type Log } from '../../../base/index.js';
import type { Tensor } from '../../../engine/index.js';
import type { NormalisedLatents } from '../../../latents/index.js';
import type { DiffusionOptions } from './options.js';

/** Features of a frozen encoder that a network's tokens are aligned with. */
export interface AlignedFeatures {
  /** Of one image, and numbers of each. */
  tokens: number;
  channels: number;
  digest: string;
  read: (rows: Int32Array) => Promise<Float32Array>;
  tensor: (data: Float32Array) => Tensor;
  close: () => Promise<void>;
}

/** REPA's features: one row per image, in the order of the latents. */
export async function openFeatures(
  { repa }: DiffusionOptions,
  { images, source, flips }: NormalisedLatents,
  log: Log,
): Promise<AlignedFeatures | undefined> {
  if (repa === undefined) return undefined;
  const { tf } = await import('../../../engine/index.js');
  const { openLatents } = await import('../../../latents/index.js');
  const found = await openLatents(repa, { log });
  const mirrored = flips && found.hasFlips;
  const features = mirrored ? await openLatents(repa, { log, flips: true }) : found;
  const rows = mirrored ? features.count / 2 : features.count;
  if (rows !== images)
    throw new UserError(`${repa}: holds features of ${rows} images, ${source.name} latents of ${images}`);
  const { tokens, channels } = features;
  return {
    tokens,
    channels,
    digest: await features.digest(),
    read: wanted => features.read(mirrored ? wanted : wanted.map(row => row % images)),
    tensor: data => tf.tensor3d(data, [data.length / tokens / channels, tokens, channels]),
    close: () => features.close(),
  };
}
