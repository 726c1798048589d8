import {
  imageMeans,
  neighbourConsistency,
  overStandardised,
  pairProducts,
  regionSimilarities,
  tokenContrast,
  withForeground,
  type Grid,
  type LatentRows,
  type Masks,
} from '../../../../diagnose/diffusability/index.js';
import { ofRank } from '../../../../distributed/index.js';
import { randomRows } from '../../../../rows/index.js';
import { pooledMasks } from '../../masks.js';
import type { Measured, Task } from '../../task.js';
import { laidOn, mean, ofFrequencies, ofPositions, ofRegions } from './positions.js';
import { ofVelocities } from './velocities.js';

/** Beyond this many tokens a matrix of pairs of positions is not kept. */
const MOST_TOKENS = 2 ** 13;
/** Neighbours that LNC looks at. */
const NEIGHBOURS = [5, 10];

/** Measures of a latent space by which the quality of what is then generated has been predicted. */
export async function diffusability(task: Task): Promise<Measured[]> {
  const { rows, tokens, grid, settings, ranks, log, name } = task;
  const latents = { rows, tokens, channels: rows.width / tokens };
  const plane = grid !== undefined && tokens <= MOST_TOKENS ? grid : undefined;
  if (!plane)
    log.warn(
      `${name}: ${grid ? `its ${tokens} tokens are too many` : 'its tokens are not a grid'}, ` +
        'so SEC, the power spectrum, LDS, CDS and SRSS are left out',
    );
  const masks = plane && settings.masks ? await pooledMasks(settings.masks, rows.rows, plane, ranks) : undefined;
  if (plane && !masks) log.note(`${name}: without --masks SRSS is left out, and LNC is over whole images`);
  const passed = await ofPass(task, latents, plane, masks);
  return [...(await ofVelocities(task, latents)), ...passed];
}

/** All that takes one pass over the rows. */
async function ofPass(
  task: Task,
  latents: LatentRows,
  grid: Grid | undefined,
  masks: Masks | undefined,
): Promise<Measured[]> {
  const { rows: source, settings, ranks, log, name } = task;
  const drawn = randomRows(source.rows, settings.sample, settings.seed);
  const images = masks ? withForeground(masks, drawn) : drawn;
  const contrast = tokenContrast();
  const means = imageMeans(images, latents.channels, masks);
  const plane = grid && gathered(grid, latents.tokens, masks);
  const { share, communicator } = ranks;
  const label = `${name}: positions and frequencies${ofRank(communicator)}`;
  const progress = log.progress(label, share.end - share.start, 'rows');
  await overStandardised(latents, await task.statistics(), [contrast, means, ...(plane?.accumulators ?? [])], {
    ranks,
    onRows: seen => progress.update(seen),
  });
  progress.stop();
  return [
    ...(await ofNeighbours(task, means.means(), images, masks)),
    { measure: 'rmsc', value: mean(contrast.values), rows: source.rows },
    ...(plane?.measured(task) ?? []),
  ];
}

/** What tokens on a grid are asked for while they pass, and what it then says. */
function gathered(grid: Grid, tokens: number, masks: Masks | undefined) {
  const rulers = laidOn(grid);
  const [products, cosines] = [pairProducts('z', tokens), pairProducts('unit', tokens)];
  const regions = masks && regionSimilarities(masks, rulers);
  return {
    accumulators: [products, cosines, ...(regions ? [regions] : [])],
    measured: (task: Task): Measured[] => [
      ...ofFrequencies(products.mean(), grid, task.rows.rows),
      ...ofPositions(task, cosines.mean(), rulers),
      ...(masks && regions ? ofRegions(task, regions.values, masks, rulers) : []),
    ],
  };
}

async function ofNeighbours(
  { name, rows: { labels }, ranks: { communicator }, log }: Task,
  means: Parameters<typeof neighbourConsistency>[0],
  images: Int32Array,
  masks: Masks | undefined,
): Promise<Measured[]> {
  if (!labels) return [];
  const own = images.map(image => labels[image]);
  const sizes = classSizes(own);
  if (sizes.length < 2) {
    log.warn(
      `${name}: ${sizes.length === 1 ? 'all images are of one class' : 'no image has any foreground'}, so LNC is left out`,
    );
    return [];
  }
  for (const k of NEIGHBOURS) {
    const few = sizes.filter(size => size <= k).length;
    if (few > 0)
      log.warn(
        `${name}: ${few} of ${sizes.length} classes have no more than ${k} images, so LNC@${k} cannot reach 1 for them`,
      );
  }
  const measured: Measured[] = [];
  for (const distance of ['cosine', 'l2'] as const) {
    const shares = await neighbourConsistency(means, own, distance, NEIGHBOURS, communicator);
    shares.forEach((value, i) => {
      const setting = `k=${NEIGHBOURS[i]} ${distance}${masks ? ' foreground' : ''}`;
      measured.push({ measure: 'lnc', value, setting, rows: images.length });
    });
  }
  return measured;
}

/** How many images each class has that occurs. */
function classSizes(labels: Int32Array): number[] {
  const sizes = new Map<number, number>();
  for (const label of labels) sizes.set(label, (sizes.get(label) ?? 0) + 1);
  return [...sizes.values()];
}
