import { UserError, type Log } from '../../base/index.js';
import type { EvaluationRow } from './rows.js';

/** What the held-out images are called in tables. */
export const VALIDATION = 'validation';

const isDistance = ({ metric }: EvaluationRow): boolean => metric === 'fid' || metric === 'fd';

/**
 * FDr: the Fréchet distance of samples over that of held-out images to the same reference, per extractor, and its mean
 * over the extractors ("FDr6" of arXiv 2604.28190 with six of them). 1 is as near as real images are.
 * `rows` hold the distances of the samples and, as the source `validation`, of the held-out images.
 * @throws UserError where held-out images are at no distance from the reference.
 */
export function distanceRatios(rows: readonly EvaluationRow[], log: Log): EvaluationRow[] {
  const distances = rows.filter(isDistance);
  const units = new Map(distances.filter(({ source }) => source === VALIDATION).map(row => [row.features, row]));
  const ratios = distances
    .filter(({ source }) => source !== VALIDATION)
    .map(row => ratioOf(row, units.get(row.features)!));
  const unequal = distances.find(row => row.images !== units.get(row.features)!.images);
  if (unequal)
    log.warn(
      `${unequal.source}: ${unequal.images} images are compared by FDr with ${units.get(unequal.features)!.images} of --validation; ` +
        'a Fréchet distance falls with their number: take equal ones (--limit)',
    );
  const sources = [...new Set(ratios.map(({ source }) => source))];
  const means = sources.map(source => meanOf(ratios.filter(row => row.source === source)));
  return [...ratios, ...(units.size > 1 ? means : [])];
}

function ratioOf(row: EvaluationRow, unit: EvaluationRow): EvaluationRow {
  if (!(unit.value > 0))
    throw new UserError(`--validation: is at distance ${unit.value} from --reference; it must be other images`);
  const { source, features, images, reference_images, low, high } = row;
  return {
    ...{ source, features, images, reference_images, metric: 'fdr', value: row.value / unit.value },
    ...(low !== undefined && high !== undefined && { low: low / unit.value, high: high / unit.value }),
    variant: `${row.metric} over ${unit.value.toPrecision(6)} of ${unit.images} held-out images`,
  };
}

function meanOf(ratios: readonly EvaluationRow[]): EvaluationRow {
  const [{ source, images, reference_images }] = ratios;
  return {
    ...{ source, images, reference_images, metric: 'fdr' },
    variant: `mean over ${ratios.length} extractors`,
    features: ratios.map(({ features }) => features).join('+'),
    value: ratios.reduce((sum, { value }) => sum + value, 0) / ratios.length,
  };
}
