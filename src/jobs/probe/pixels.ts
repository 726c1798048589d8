import type { Log } from '../../base/index.js';
import { loadBatch, nothingReadable, openImages, type ImageDataset, type SplitName } from '../../data/index.js';
import { presentClasses, type Decoding } from '../../io/index.js';
import { arrayRows } from '../../rows/index.js';
import type { ProbeSource } from './probe.js';
import type { LabelledLatents } from '../../probe/index.js';

export interface PixelOptions extends Decoding {
  /** Side of the centre crop. */
  size: number;
  /** The images' train part is probed and their val part tested on; else all of them are split by seed. */
  tested: boolean;
  log: Log;
}

/** Raw pixels as one more source. The digest is that of the images. */
export async function pixelSource(
  spec: string,
  { size, tested, log, ...decoding }: PixelOptions,
): Promise<{ source: ProbeSource; digest: string }> {
  const part = async (split: SplitName): Promise<{ rows: LabelledLatents; digest: string }> => {
    const dataset = await openImages(spec, { ...decoding, split, log });
    try {
      return { rows: await pixelRows(dataset, size, log), digest: dataset.digest };
    } finally {
      await dataset.close();
    }
  };
  const { rows: latents, digest } = await part(tested ? 'train' : 'all');
  return { source: { latents, ...(tested && { test: (await part('val')).rows }) }, digest };
}

/** Images read at once. */
const BATCH = 256;

/**
 * Images as they are, centre-cropped to `size`: rows of size² tokens with three channels in [−1, 1]. What a latent
 * space has to beat.
 */
async function pixelRows(dataset: ImageDataset, size: number, log: Log): Promise<LabelledLatents> {
  const width = 3 * size * size;
  const data = new Float32Array(dataset.count * width);
  const labels: number[] = [];
  let rows = 0;
  const progress = log.progress(`reading ${dataset.name}`, dataset.count, 'images');
  for (let first = 0; first < dataset.count; first += BATCH) {
    const indices = Int32Array.from({ length: Math.min(BATCH, dataset.count - first) }, (_, i) => first + i);
    const batch = await loadBatch(dataset, indices, { size, crop: 'center', flip: false });
    data.set(batch.images, rows * width);
    if (batch.labels) labels.push(...batch.labels);
    rows += batch.indices.length;
    progress.update(first + indices.length);
  }
  progress.stop();
  if (rows === 0) throw nothingReadable(dataset);
  const name = 'pixels';
  const source = arrayRows(
    name,
    data.subarray(0, rows * width),
    rows,
    width,
    dataset.labels ? Int32Array.from(labels) : undefined,
  );
  return { name, rows: source, tokens: size * size, classes: dataset.classes };
}

/** Says so where the pixels cannot be the images of the latents, row by row: then they are split otherwise. */
export function warnOfOtherImages(pixels: LabelledLatents, latents: LabelledLatents, log: Log): void {
  const [own, theirs] = [pixels.rows, latents.rows];
  if (own.rows !== theirs.rows)
    log.warn(
      `pixels: ${own.rows} images, but ${latents.name} has ${theirs.rows} rows; the two are not probed on the same images`,
    );
  else if (own.labels && theirs.labels && !areSameClasses(own.labels, theirs.labels))
    log.warn(
      `pixels: their labels differ from those of ${latents.name} row by row; the two are not split into the same train and test images`,
    );
}

/** Whether the rows fall into the same classes, however either side counts them. */
function areSameClasses(a: Int32Array, b: Int32Array): boolean {
  const [own, theirs] = [presentClasses(a).labels, presentClasses(b).labels];
  return own.every((label, row) => label === theirs[row]);
}
