import { UserError, type Log, unlabelled } from '../../base/index.js';
import type { Share } from '../../distributed/index.js';
import { tf, type Tensor2D } from '../../engine/index.js';
import { openLatents, shown, type Latents } from '../../latents/index.js';
import type { TrainingBlock } from '../../metrics/index.js';
import { normalisationCard, type Tokenizer } from '../../tokenizers/index.js';
import { toPublished } from './published-latents.js';

/** Latents of the images that a diffusion model would be trained on, as they are interpolated. */
export interface TrainingLatents {
  name: string;
  count: number;
  /** The class of each row among `classes`, where the files have labels. */
  labels?: Int32Array | undefined;
  classes?: string[] | undefined;
  /**
   * Rows in order, [rows, tokens · channels], to be freed by the reader: the blocks that begin within a stretch of them. Those of
   * all stretches together are those of the whole.
   */
  blocks(stretch: Share): AsyncGenerator<TrainingBlock>;
  /** Rows by number. */
  read(rows: ArrayLike<number>): Promise<Float32Array[]>;
  digest(): Promise<string>;
  close(): Promise<void>;
}

/** Numbers of training latents on the engine at once: 64 MiB. */
const BLOCK = 2 ** 24;

/** Opens latents that this tokenizer made. @throws UserError where their files say that another did, or otherwise. */
export async function openTrainingLatents(
  path: string,
  tokenizer: Tokenizer,
  posterior: Tokenizer['posterior'],
  log: Log,
): Promise<TrainingLatents> {
  const latents = await openLatents(path, { log });
  try {
    await refuseOthers(latents, tokenizer, posterior, log);
  } catch (error) {
    await latents.close();
    throw error;
  }
  const { name, count, labels, classes, tokens, channels } = latents;
  const width = tokens * channels;
  const own = (data: Float32Array): Tensor2D =>
    tf.tidy(() =>
      toPublished(tokenizer, tf.tensor3d(data, [data.length / width, tokens, channels])).reshape([-1, width]),
    );
  return {
    name,
    count,
    labels,
    classes,
    async *blocks(stretch) {
      // Where a block ends depends on the files too, so what comes before is read.
      for await (const { start, data, rows } of latents.rows().chunks({ chunkRows: Math.ceil(BLOCK / width) })) {
        if (start >= stretch.end) return;
        if (start >= stretch.start) yield { x: own(data.subarray(0, rows * width)), start };
      }
    },
    async read(rows) {
      const x = own(await latents.read(rows));
      const data = (await x.data()) as Float32Array;
      x.dispose();
      return Array.from({ length: rows.length }, (_, i) => data.subarray(i * width, (i + 1) * width));
    },
    digest: () => latents.digest(),
    close: () => latents.close(),
  };
}

async function refuseOthers(
  { name, tokens, channels, meta }: Latents,
  tokenizer: Tokenizer,
  posterior: Tokenizer['posterior'],
  log: Log,
): Promise<void> {
  const [ownTokens, ownChannels] = tokenizer.latentShape;
  if (tokens !== ownTokens || channels !== ownChannels)
    throw new UserError(
      `--latents ${name}: has ${tokens} tokens of ${channels} channels, ${tokenizer.name} makes ${ownTokens} of ${ownChannels}; ` +
        'extract the training images with this tokenizer',
    );
  const made = meta.tokenizer as { name?: string; digest?: string } | undefined;
  if (made?.digest === undefined) {
    log.warn(`${name}: does not say which tokenizer made it; taken for latents of ${tokenizer.name}, normalised alike`);
    return;
  }
  const again = 'extract the training images again';
  const { latent_shift: shift, latent_scale: scale } = await normalisationCard(tokenizer.normalisation);
  if (JSON.stringify([meta.latent_shift, meta.latent_scale]) !== JSON.stringify([shift, scale]))
    throw new UserError(
      `--latents ${name}: is normalised otherwise (${told(meta.latent_normalisation)}) than ${tokenizer.name} is opened (${tokenizer.normalisation.source}); ${again}, or give the same --latent-statistics`,
    );
  if (made.digest !== tokenizer.digest)
    throw new UserError(
      `--latents ${name}: was made by other weights (${made.name}, sha256 ${made.digest.slice(0, 12)}…) than ${tokenizer.name} (${tokenizer.digest.slice(0, 12)}…); ${again}`,
    );
  if (meta.image_size !== tokenizer.imageSize)
    throw new UserError(
      `--latents ${name}: is of images of ${told(meta.image_size)} pixels, not ${tokenizer.imageSize}; ${again}, or give --image-size`,
    );
  if (meta.posterior !== posterior)
    log.warn(
      `${name}: holds the posterior's ${told(meta.posterior)}, the images are encoded to its ${posterior}; --posterior chooses`,
    );
}

const told = (value: unknown): string => (value === undefined ? 'not said' : JSON.stringify(value).replaceAll('"', ''));

/**
 * The class of each image and of each training latent in one numbering, by their classes' names; −1 for images of a
 * class that the training latents lack. @throws UserError where either has no labels.
 */
export function inOneNumbering(
  images: { name: string; labels?: Int32Array | undefined; classes: readonly string[] },
  training: Pick<TrainingLatents, 'name' | 'labels' | 'classes'>,
): { images: Int32Array; training: Int32Array } {
  for (const { name, labels } of [images, training]) if (!labels) throw unlabelled(name, '--within-class');
  const names = training.classes ?? [];
  const called = (label: number): number => {
    const found = names.indexOf(images.classes[label]);
    return names.length === 0 ? label : found;
  };
  const labels = images.labels!.map(called);
  const known = new Set(training.labels);
  const lacking = [...new Set(images.labels)].filter(label => !known.has(called(label)));
  if (lacking.length > 0)
    throw new UserError(
      `${training.name}: has no latents of class ${shown(lacking.map(label => images.classes[label] ?? String(label)))}, which ${images.name} has; --within-class finds nothing to interpolate with`,
    );
  return { images: labels, training: training.labels! };
}
