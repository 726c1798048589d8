import { z } from 'zod';
import { EXIT, UserError, type Progress } from '../base/index.js';
import type { ImageDataset } from '../data/index.js';
import { agreeOn, byFirst, ofRank, shareOf } from '../distributed/index.js';
import { defineCommand, type Context } from './command.js';
import { count, whole } from '../base/options.js';
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
    .describe(
      'decode every image and list what is unreadable, smaller than --size or there twice; exit code 1 if any is unreadable',
    ),
  near: whole
    .max(31)
    .default(8)
    .describe(
      'with --check: bits (of 128) in which the perceptual hashes of near duplicates may differ; 0: exact ones only',
    ),
  sheet: z.string().optional().describe('draw a contact sheet, a row for each class: FILE.png'),
  out: z.string().optional().describe('write the images: FILE.npz, or a folder of PNGs in class folders'),
  grid: z.string().optional().describe('draw a grid of images spread evenly over the set: FILE.png'),
  num: count.default(64).describe('number of images in the grid or on the sheet'),
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
    ['maetok data imagenet/train --check --size 256 > findings.csv', 'unreadable, small and duplicate images'],
    ['maetok data hub/imagenet-1k --split val --sheet sheet.png', 'a row of images for each class'],
    ['maetok data "synthetic:scenes?count=5000&size=32" --out scenes --grid scenes.png', 'make a data set'],
    ['maetok data photos --size 256 --out photos-256.npz', 'import: crop once, one file'],
  ],
  inputs: { name: 'data', describe: 'a folder, file or synthetic:scenes', min: 0, max: 64 },
  options,
  main: ['limit', 'check', 'grid', 'num', 'out', 'force'],
  // A look at headers or at a few images is not worth several processes.
  ranks: ({ check, out }) => check || out !== undefined,
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
    const onlyOne = (['check', 'out', 'grid', 'sheet'] as const).find(name => chosen[name]);
    if (onlyOne && specs.length > 1) throw new UserError(`--${onlyOne} takes one data set, ${specs.length} were given`);
    const { communicator } = context;
    const rows: Row[] = [];
    for (const spec of specs) {
      const dataset = await openImages(spec, { ...chosen, log: context.log });
      try {
        await agreeOn(communicator, `the digest of ${dataset.name}`, dataset.digest);
        await byFirst(communicator, async () => {
          if (chosen.sheet !== undefined) await writeSheet(dataset, chosen.sheet, chosen);
          if (!chosen.check) rows.push(await described(dataset, chosen.split));
        });
        if (chosen.check) await check(dataset, chosen, context);
        await exported(dataset, chosen, context);
        if (!chosen.check) noteClasses(dataset, context);
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

const FINDINGS = ['image', 'kind', 'problem', 'like', 'distance'];

async function check(dataset: ImageDataset, { size, near }: Options, context: Context): Promise<void> {
  const { surveyImages } = await import('../data/index.js');
  const { log, signal, communicator } = context;
  const progress = progressOf('checking', dataset, context);
  const survey = await surveyImages(dataset, { size, near, progress, signal, communicator }).finally(() =>
    progress.stop(),
  );
  await writeTable(
    context,
    FINDINGS,
    survey.findings.map(({ image, kind, problem, like, distance }) => ({ image, kind, problem, like, distance })),
    {},
  );
  const count = (kind: string): number => survey.findings.filter(finding => finding.kind === kind).length;
  const unreadable = count('unreadable');
  log.note(`${dataset.name}: sizes ${counted(survey.sizes)}; ${counted(survey.modes)}`);
  noteClasses(dataset, context);
  const similar = near > 0 ? `, ${count('near duplicate')} near (at most ${near} of 128 bits apart)` : '';
  const contrary = survey.contradictions > 0 ? `, ${survey.contradictions} of them with another label` : '';
  log.note(`${dataset.name}: duplicates: ${count('duplicate')} exact${similar}${contrary}`);
  if (size !== undefined) log.note(`${dataset.name}: smaller than --size ${size}: ${count('small')}`);
  if (unreadable > 0)
    throw new UserError(
      `${dataset.name}: ${unreadable} of ${dataset.count} images cannot be read; training and extraction skip them`,
      EXIT.failed,
    );
  log.note(`${dataset.name}: all ${dataset.count} images can be read`);
}

/** Entries of a list that are named; the rest are counted. */
const NAMED = 8;

function counted(counts: [name: string, images: number][]): string {
  const named = counts.slice(0, NAMED).map(([name, images]) => `${name} (${images})`);
  const rest = counts.slice(NAMED);
  const others = rest.reduce((sum, [, images]) => sum + images, 0);
  return named.join(', ') + (rest.length > 0 ? `, ${rest.length} others (${others})` : '');
}

function noteClasses({ name, labels, classes }: ImageDataset, { log }: Context): void {
  if (!labels) {
    log.note(`${name}: no labels`);
    return;
  }
  const images = new Array<number>(classes.length).fill(0);
  for (const label of labels) images[label]++;
  const present = images.flatMap((count, label): [string, number][] => (count > 0 ? [[classes[label], count]] : []));
  log.note(`${name}: ${present.length} classes: ${counted(present)}`);
}

/** Progress over the images of a data set that are this rank's. */
function progressOf(what: string, { count }: ImageDataset, { log, communicator }: Context): Progress {
  const { start, end } = shareOf(communicator, count);
  return log.progress(`${what}${ofRank(communicator)}`, end - start, 'images');
}

async function brokenOf(dataset: ImageDataset, context: Context) {
  const { brokenImages } = await import('../data/index.js');
  const { signal, communicator } = context;
  const progress = progressOf('checking', dataset, context);
  try {
    return await brokenImages(dataset, { progress, signal, communicator });
  } finally {
    progress.stop();
  }
}

async function exported(dataset: ImageDataset, chosen: Options, context: Context): Promise<void> {
  const { grid, out, size, force } = chosen;
  const { signal, communicator } = context;
  if (grid !== undefined) await byFirst(communicator, () => writeGrid(dataset, grid, chosen));
  if (out === undefined) return;
  const { exportFolder, exportNpz, without } = await import('../data/index.js');
  const progress = progressOf('writing', dataset, context);
  const settings = { size, force, signal, progress, communicator };
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

async function writeSheet(dataset: ImageDataset, path: string, { num, force }: Options): Promise<void> {
  const { contactSheet } = await import('../data/index.js');
  const { refuseExisting, writeFileAtomic } = await import('../io/index.js');
  const { rasterise } = await import('../report/index.js');
  refuseExisting(path, force);
  await writeFileAtomic(path, rasterise(await contactSheet(dataset, num)), { force });
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
