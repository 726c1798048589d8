import { RandomStream, tf, type Tensor2D, type Tensor3D } from '../../engine/index.js';
import type { ImageBatch, ImageDataset } from '../../data/index.js';
import { measuredStatistics } from '../../latents/index.js';
import { leastSquares } from '../../statistics/index.js';
import type { Tokenizer } from '../../tokenizers/index.js';
import { overBatches, shapeOf } from './batches.js';
import type { Codec, Reconstructions } from './reconstructions.js';
import type { EvaluateContext, EvaluationRow } from './rows.js';

/*
 * A decoder under noise: what it makes of z + σ · s · n instead of z, s being the standard deviation of z's channel over
 * images and positions and n standard normal: noise of variance σ² in the space that a diffusion model is trained in.
 */

/** Each channel's unbiased standard deviation over the images and positions. */
export async function channelDeviations(
  { name, imageSize: size, latentShape: [tokens, channels] }: Tokenizer,
  images: ImageDataset,
  encode: Codec['encode'],
  batchSize: number,
  context: EvaluateContext,
): Promise<Float64Array> {
  const width = tokens * channels;
  const progress = context.log.progress(`deviations of latents of ${images.name}`, images.count, 'images');
  const encoded = async (batch: ImageBatch) => {
    const input = tf.tensor4d(batch.images, shapeOf(batch));
    const latents = await encode(input, batch.indices);
    const data = (await latents.data()) as Float32Array;
    tf.dispose([input, latents]);
    return { start: batch.indices[0], rows: batch.indices.length, data };
  };
  async function* chunks() {
    for await (const { made, end } of overBatches(images, { size, batchSize }, encoded, context)) {
      yield made;
      progress.update(end);
    }
  }
  try {
    const { std } = await measuredStatistics({ name, rows: images.count, width, chunks }, { tokens, channels });
    return std;
  } finally {
    progress.stop();
  }
}

/** Reconstructions from latents with each level of noise, which is the same at all levels and in every batch. */
export function withNoise(
  { encode, decode }: Codec,
  levels: readonly number[],
  deviations: Float64Array,
  seed: number,
): Reconstructions {
  const random = new RandomStream(seed).for('latent noise');
  return {
    kinds: levels.map(level => ({ latent_noise: level })),
    async *of({ indices }, images) {
      const latents = await encode(images, indices);
      const noise = tf.tidy((): Tensor3D => {
        const [, tokens, channels] = latents.shape;
        const drawn = Array.from(indices, index =>
          tf.tensor2d(random.at(index).normals(tokens * channels), [tokens, channels]),
        );
        return tf.stack<Tensor2D>(drawn).mul(tf.tensor1d(Float32Array.from(deviations)));
      });
      try {
        for (const level of levels) {
          const noisy = tf.tidy(() => latents.add<Tensor3D>(noise.mul(level)));
          try {
            yield await decode(noisy);
          } finally {
            noisy.dispose();
          }
        }
      } finally {
        tf.dispose([latents, noise]);
      }
    },
  };
}

/** Rows by level of noise, each measure in its first variant, and how each changes with the noise. */
export function curves(rows: readonly EvaluationRow[]): EvaluationRow[] {
  const metrics = [...new Set(rows.map(({ metric }) => metric))];
  return metrics.flatMap(metric => {
    const all = rows.filter(row => row.metric === metric);
    const own = all.filter(({ variant }) => variant === all[0].variant);
    return [
      ...own.map(row => ({ ...row, variant: `noise=${row.latent_noise} ${row.variant}` })),
      ...(own.length > 1 ? slopeRows(own) : []),
    ];
  });
}

/** The line of least squares through a measure's values at all levels; none through an infinite PSNR. */
function slopeRows(rows: readonly EvaluationRow[]): EvaluationRow[] {
  const points = rows.map(({ latent_noise: level, value }): [number, number] => [level!, value]);
  if (!points.every(([, value]) => Number.isFinite(value))) return [];
  const { slope, r2 } = leastSquares(points);
  const { source, metric, variant, features, images, reference_images } = rows[0];
  const levels = rows.map(({ latent_noise: level }) => level).join(',');
  const common = { source, features, images, reference_images, variant: `noise=${levels} ${variant}` };
  return [
    { ...common, metric: `${metric}_slope`, value: slope },
    { ...common, metric: `${metric}_slope_r2`, value: r2 },
  ];
}
