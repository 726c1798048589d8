import { z } from 'zod';
import { EXIT, UserError } from '../base/index.js';
import type { ImageDataset } from '../data/index.js';
import { defineCommand, type Context } from './command.js';
import { count } from '../base/options.js';
import { SPLITS } from '../data/names.js';
import { imageKeys } from '../data/options.js';
import { decoding } from '../io/options.js';
import { common, force, limit } from './options.js';
import { writeTable, type Row } from './table.js';

const options = z.object({
  split: z
    .enum(SPLITS)
    .default('all')
    .describe('which part; without train/ and val/ folders, the split is drawn by seed'),
  limit: limit.describe('the first N images only'),
  size: count.optional().describe('centre crop to this side, exactly as ADM’s code does with Pillow 13'),
  ...imageKeys,
  ...decoding,
  check: z
    .boolean()
    .default(false)
    .describe('decode every image and list the broken ones; exit code 1 if there are any'),
  out: z.string().optional().describe('write the images: FILE.npz, or a folder of PNGs in class folders'),
  grid: z.string().optional().describe('draw a grid of images spread evenly over the set: FILE.png'),
  num: count.default(64).describe('number of images in the grid'),
  strict: z.boolean().default(false).describe('stop --out at a broken image instead of leaving it out'),
  force,
  ...common,
});
type Options = z.output<typeof options>;

const COLUMNS = [
  'name',
  'split',
  'images',
  'classes',
  'min_width',
  'max_width',
  'min_height',
  'max_height',
  'sizes_looked_at',
  'digest',
];

export const data = defineCommand({
  name: 'data',
  describe:
    'Describes, checks, shows, makes or imports an image data set; without an argument, lists what can be read.',
  examples: [
    ['maetok data', 'what --data accepts'],
    ['maetok data imagenet/train --check', 'count, classes, sizes; then decode everything'],
    ['maetok data "synthetic:scenes?count=5000&size=32" --out scenes --grid scenes.png', 'make a data set'],
    ['maetok data photos --size 256 --out photos-256.npz', 'import: crop once, one file'],
  ],
  inputs: { name: 'data', describe: 'a folder, file or synthetic:scenes', min: 0, max: 64 },
  options,
  main: ['limit', 'check', 'grid', 'num', 'out', 'force'],
  async run(chosen, specs, context) {
    const { DATA_SPECS, openImages } = await import('../data/index.js');
    if (specs.length === 0) {
      await writeTable(
        context,
        ['data', 'meaning'],
        DATA_SPECS.map(([form, meaning]) => ({ data: form, meaning })),
        {},
      );
      return;
    }
    const onlyOne = (['check', 'out', 'grid'] as const).find(name => chosen[name]);
    if (onlyOne && specs.length > 1) throw new UserError(`--${onlyOne} takes one data set, ${specs.length} were given`);
    const rows: Row[] = [];
    for (const spec of specs) {
      const dataset = await openImages(spec, { ...chosen, log: context.log });
      try {
        if (chosen.check) await check(dataset, context);
        else rows.push(await described(dataset, chosen.split));
        await exported(dataset, chosen, context);
      } finally {
        await dataset.close();
      }
    }
    if (!chosen.check) await writeTable(context, COLUMNS, rows, {});
  },
});

async function described(dataset: ImageDataset, split: string): Promise<Row> {
  const { sizeRange } = await import('../data/index.js');
  const sizes = await sizeRange(dataset);
  return {
    name: dataset.name,
    split,
    images: dataset.count,
    classes: classCount(dataset),
    min_width: sizes.minWidth,
    max_width: sizes.maxWidth,
    min_height: sizes.minHeight,
    max_height: sizes.maxHeight,
    sizes_looked_at: sizes.looked,
    digest: dataset.digest,
  };
}

/** Where names only count up to the largest label, no more classes exist than occur. */
function classCount({ classes, labels }: ImageDataset): number {
  return labels && classes.every((name, i) => name === String(i)) ? new Set(labels).size : classes.length;
}

async function check(dataset: ImageDataset, context: Context): Promise<void> {
  const broken = await brokenOf(dataset, context);
  await writeTable(
    context,
    ['image', 'problem'],
    broken.map(({ image, problem }) => ({ image, problem })),
    {},
  );
  if (broken.length > 0)
    throw new UserError(`${dataset.name}: ${broken.length} of ${dataset.count} images cannot be read`, EXIT.failed);
  context.log.note(`${dataset.name}: all ${dataset.count} images can be read`);
}

async function brokenOf(dataset: ImageDataset, { log, signal }: Context) {
  const { brokenImages } = await import('../data/index.js');
  const progress = log.progress('checking', dataset.count, 'images');
  try {
    return await brokenImages(dataset, progress, signal);
  } finally {
    progress.stop();
  }
}

async function exported(dataset: ImageDataset, chosen: Options, context: Context): Promise<void> {
  const { grid, out, size, force } = chosen;
  if (grid !== undefined) await writeGrid(dataset, grid, chosen);
  if (out === undefined) return;
  const { exportFolder, exportNpz, without } = await import('../data/index.js');
  const progress = context.log.progress('writing', dataset.count, 'images');
  const settings = { size, force, signal: context.signal, progress };
  try {
    if (!out.endsWith('.npz')) {
      await exportFolder(dataset, out, settings);
    } else {
      // The file begins with the number of images, so what is broken must be known before.
      const broken = await brokenOf(dataset, context);
      for (const { index, image, problem } of broken)
        dataset.reportBroken(index, new UserError(`${image}: ${problem}`));
      await exportNpz(without(dataset, broken), out, settings);
    }
  } finally {
    progress.stop();
  }
  const left = dataset.broken.size > 0 ? `, ${dataset.broken.size} unreadable ones left out` : '';
  context.log.note(`${out}: ${dataset.count - dataset.broken.size} images written${left}`);
}

async function writeGrid(dataset: ImageDataset, path: string, { num, size, force }: Options): Promise<void> {
  const { centreCrop, nothingReadable, evenlySpaced } = await import('../data/index.js');
  const { imageGrid, refuseExisting, writePng } = await import('../io/index.js');
  refuseExisting(path, force);
  const images = [];
  for (const index of evenlySpaced(dataset.count, num)) {
    try {
      const image = await dataset.read(index, size);
      images.push(size === undefined ? image : centreCrop(image, size));
    } catch (error) {
      dataset.reportBroken(index, error);
    }
  }
  if (images.length === 0) throw nothingReadable(dataset);
  await writePng(path, imageGrid(images), { force });
}
