import { RandomNumbers, type Log } from '../../base/index.js';
import { channelSummary } from '../../diagnose/index.js';
import { nearestNeighbours } from '../../neighbours/index.js';
import { randomRows, sampleOf, type RowSource } from '../../rows/index.js';
import { planarStart, type RowStatistics } from '../../pca/index.js';
import { tsne } from '../../umap/index.js';

const PERPLEXITY = 30;
const ITERATIONS = 750;

/**
 * The points whose evenness LightningDiT measures: one token of each image at random, channels standardised, in the
 * plane by t-SNE. [positions, 2]
 */
export async function tokenPlane(
  { name, rows: source, tokens }: { name: string; rows: RowSource; tokens: number },
  moments: RowStatistics,
  { positions, seed }: { positions: number; seed: number },
  log: Log,
): Promise<Float32Array> {
  const { rows, width, data } = await sampleOf(source, randomRows(source.rows, positions, seed));
  const channels = width / tokens;
  const { mean, std } = channelSummary(moments, tokens);
  const random = new RandomNumbers(seed).for('uniformity');
  const token = random.for('tokens').integers(rows, tokens);
  const points = Float32Array.from({ length: rows * channels }, (_, at) => {
    const [row, channel] = [Math.floor(at / channels), at % channels];
    return (data[row * width + token[row] * channels + channel] - mean[channel]) / (std[channel] || 1);
  });
  const neighbours = await nearestNeighbours(points, rows, channels, 3 * PERPLEXITY);
  const progress = log.progress(`${name}: t-SNE of ${rows} tokens`, ITERATIONS, 'iterations');
  const plane = await tsne(neighbours, await planarStart(points, rows, channels), {
    perplexity: PERPLEXITY,
    iterations: ITERATIONS,
    random,
    onIteration: done => progress.update(done),
  });
  progress.stop();
  return plane;
}
