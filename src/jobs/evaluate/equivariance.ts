import type { ImageBatch, ImageDataset } from '../../data/index.js';
import { tf, type Tensor4D } from '../../engine/index.js';
import { departureSums, equivarianceError, ROTATIONS, SCALINGS, type Transformation } from '../../metrics/index.js';
import type { Tokenizer } from '../../tokenizers/index.js';
import { overBatches, shapeOf } from './batches.js';
import type { EvaluateContext, EvaluationRow } from './rows.js';

/**
 * Whether encoding commutes with turning and scaling images: a row per transformation, and one per kind with the mean.
 * A posterior's mode is taken. What the tokenizer cannot do is left out with a warning: any of it where tokens are not a
 * grid, scales where it takes images of one size only. Ranks take turns at the batches.
 */
export async function evaluateEquivariance(
  tokenizer: Tokenizer,
  images: ImageDataset,
  { batchSize }: { batchSize: number },
  context: EvaluateContext,
): Promise<EvaluationRow[]> {
  const { log } = context;
  const { name, grid, imageSize: size } = tokenizer;
  if (!grid) {
    log.warn(`${name}: its tokens are not a grid, so equivariance is left out`);
    return [];
  }
  const possible = [...ROTATIONS, ...SCALINGS.filter(({ scale }) => takes(tokenizer, scale))];
  const left = SCALINGS.filter(one => !possible.includes(one));
  if (left.length > 0)
    log.warn(
      `${name}: does not take images of ${size} pixels scaled by ${[...new Set(left.map(({ scale }) => scale))].join(', ')}, so equivariance under that is left out`,
    );
  const errors = possible.map(transformation => ({ transformation, error: equivarianceError() }));
  const progress = log.progress(`equivariance on ${images.name}`, images.count, 'images');
  const sumsOf = async (batch: ImageBatch) => {
    const input = tf.tensor4d(batch.images, shapeOf(batch));
    const plain = await onGrid(tokenizer, input, 1);
    const sums = [];
    for (const transformation of possible) {
      const image = transformation.ofImages(input);
      const [a, b] = [await onGrid(tokenizer, image, transformation.scale), transformation.ofLatents(plain)];
      sums.push(await departureSums(a, b));
      tf.dispose([image, a, b]);
    }
    tf.dispose([input, plain]);
    return sums;
  };
  let count = 0;
  try {
    for await (const { made, ...batch } of overBatches(images, { size, batchSize }, sumsOf, context)) {
      errors.forEach(({ error }, i) => error.add(made[i]));
      count += batch.images;
      progress.update(batch.end);
    }
  } finally {
    progress.stop();
  }
  const found = errors.map(({ transformation, error }) => ({ ...transformation, value: error.value() }));
  const common = { source: name, features: '', images: count, reference_images: null };
  return grouped(found).flatMap(({ kind, label, members }) => {
    const metric = `equivariance_${kind}`;
    const mean = members.reduce((sum, { value }) => sum + value, 0) / members.length;
    return [
      { ...common, metric, variant: label, value: mean },
      ...members.map(({ name: variant, value }) => ({ ...common, metric, variant, value })),
    ];
  });
}

/** Whether the scaled image can be encoded, and its latents are the scaled grid. */
function takes({ imageSize, sizeMultiple, grid }: Tokenizer, scale: number): boolean {
  if (sizeMultiple === undefined) return false;
  return (imageSize * scale) % sizeMultiple === 0 && grid!.every(side => Number.isInteger(side * scale));
}

async function onGrid(tokenizer: Tokenizer, images: Tensor4D, scale: number): Promise<Tensor4D> {
  const [rows, columns] = tokenizer.grid!.map(side => side * scale);
  const latents = await tokenizer.encode(images);
  const grid = latents.reshape<Tensor4D>([latents.shape[0], rows, columns, latents.shape[2]]);
  latents.dispose();
  return grid;
}

type Found = Transformation & { value: number };

/** Rotations, and scales by each filter. */
function grouped(found: readonly Found[]): { kind: string; label: string; members: Found[] }[] {
  const filterOf = ({ name }: Found): string => name.split(' ')[1] ?? '';
  return [...new Set(found.map(filterOf))].map(filter => {
    const members = found.filter(one => filterOf(one) === filter);
    const values = members.map(({ name }) => name.split(' ')[0].split('=')[1]).join(',');
    const [{ kind, name }] = members;
    return { kind, label: `${name.split('=')[0]}=${values} ${filter}`.trim(), members };
  });
}
