import { RandomNumbers } from '../../base/index.js';
import { gathered, shareOf } from '../../distributed/index.js';
import { channelSummary } from '../../diagnose/index.js';
import { nearestNeighbours } from '../../neighbours/index.js';
import { randomRows, selectedRows } from '../../rows/index.js';
import { planarStart, type RowStatistics } from '../../pca/index.js';
import { tsne } from '../../umap/index.js';
import type { Task } from './task.js';

const PERPLEXITY = 30;
const ITERATIONS = 750;

/** Tokens that are placed, and what places are drawn by. */
interface Drawing {
  positions: number;
  seed: number;
}

/**
 * The points whose evenness LightningDiT measures: one token of each image at random, channels standardised, in the
 * plane by t-SNE. [positions, 2]. Ranks divide the search for neighbours; as a step depends on the one before, the layout is
 * left to whichever of them calls what this returns.
 */
export async function tokenPlane(
  task: Task,
  moments: RowStatistics,
  { positions, seed }: Drawing,
): Promise<() => Promise<Float32Array>> {
  const { name, ranks, log } = task;
  const { communicator } = ranks;
  const random = new RandomNumbers(seed).for('uniformity');
  const { rows, channels, points } = await randomTokens(
    task,
    moments,
    randomRows(task.rows.rows, positions, seed),
    random,
  );
  const neighbours = await nearestNeighbours(points, rows, channels, 3 * PERPLEXITY, communicator);
  const start = await planarStart(points, rows, channels, { communicator });
  return async () => {
    const progress = log.progress(`${name}: t-SNE of ${rows} tokens`, ITERATIONS, 'iterations');
    const plane = await tsne(neighbours, start, {
      perplexity: PERPLEXITY,
      iterations: ITERATIONS,
      random,
      onIteration: done => progress.update(done),
    });
    progress.stop();
    return plane;
  };
}

/** One token of each of these images, standardised: [rows, channels]. Of several ranks each reads a share. */
async function randomTokens(
  { rows: source, tokens, ranks: { communicator } }: Task,
  moments: RowStatistics,
  images: Int32Array,
  random: RandomNumbers,
): Promise<{ rows: number; channels: number; points: Float32Array }> {
  const rows = images.length;
  const { width } = source;
  const channels = width / tokens;
  const { mean, std } = channelSummary(moments, tokens);
  const token = random.for('tokens').integers(rows, tokens);
  const share = shareOf(communicator, rows);
  const own = new Float32Array((share.end - share.start) * channels);
  for await (const chunk of selectedRows(source, images).chunks(share))
    for (let i = 0; i < chunk.rows; i++) {
      const image = chunk.start + i;
      for (let channel = 0; channel < channels; channel++)
        own[(image - share.start) * channels + channel] =
          (chunk.data[i * width + token[image] * channels + channel] - mean[channel]) / (std[channel] || 1);
    }
  return { rows, channels, points: await gathered(communicator, own) };
}
