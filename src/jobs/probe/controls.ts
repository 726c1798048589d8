import { availableCores, RandomNumbers, UserError, type Log } from '../../base/index.js';
import type { RowSource } from '../../rows/index.js';
import { axesLeftOut, fitPca, pcaReduction, reducedRows, type Reduction } from '../../pca/index.js';
import { features, type ProbeControl, type Feature, type LabelledLatents, type ProbeParts } from '../../probe/index.js';

export const isProjected = (control: ProbeControl): boolean => control === 'random-projection' || control === 'pca';

/** The features of one control: rows to train and to test on. */
export interface ControlledFeatures {
  train: RowSource;
  trainLabels: Int32Array;
  test: RowSource;
  /** Tokens that a row still holds; 1 where they were averaged or mixed. */
  tokens: number;
}

/**
 * shuffled-labels: what chance gives. random-projection: `dims` Gaussian mixtures of the features, what size alone
 * gives. pca: the `dims` leading principal axes of the training rows, so that spaces of other sizes compare.
 */
export async function controlledFeatures(
  { name, tokens }: LabelledLatents,
  parts: ProbeParts,
  feature: Feature,
  control: ProbeControl,
  { dims, seed }: { dims: number; seed: number },
  log: Log,
): Promise<ControlledFeatures> {
  const train = { ...features(feature, parts.train, tokens), name };
  const test = features(feature, parts.test, tokens);
  const trainLabels = control === 'shuffled-labels' ? shuffled(parts.trainLabels, seed) : parts.trainLabels;
  if (!isProjected(control)) return { train, test, trainLabels, tokens: feature === 'mean' ? 1 : tokens };
  const reduction =
    control === 'pca'
      ? await leadingAxes(train, dims, log)
      : randomAxes(train.width, Math.min(dims, train.width), seed);
  return { train: reducedRows(reduction, train), test: reducedRows(reduction, test), trainLabels, tokens: 1 };
}

/**
 * How many dimensions the projections keep: as many as the narrowest space has, unless given.
 * @throws UserError for a single space, which has nothing to match
 */
export function matchedDims(
  sources: LabelledLatents[],
  feature: Feature,
  { controls, dims }: { controls: ProbeControl[]; dims?: number | undefined },
  log: Log,
): number {
  const widths = sources.map(({ rows, tokens }) => features(feature, rows, tokens).width);
  if (dims === undefined && controls.some(isProjected) && sources.length === 1)
    throw new UserError(
      `--control ${controls.find(isProjected)}: with a single space there are no dimensions to match; give another space, --pixels, or --dims N`,
    );
  const kept = dims ?? Math.min(...widths);
  if (controls.some(isProjected)) log.note(`projections of ${feature} features keep ${kept} dimensions`);
  return kept;
}

const shuffled = (labels: Int32Array, seed: number): Int32Array =>
  new RandomNumbers(seed)
    .for('shuffled-labels')
    .permutation(labels.length)
    .map(row => labels[row]);

async function leadingAxes(train: RowSource, dims: number, log: Log): Promise<Reduction> {
  const pca = await fitPca(train, { dims: Math.min(dims, train.width, train.rows), threads: availableCores() });
  const missing = axesLeftOut(pca, dims);
  if (missing !== undefined) log.warn(`${train.name}: control pca: ${missing}`);
  return pcaReduction(pca, { standardize: false });
}

function randomAxes(width: number, dims: number, seed: number): Reduction {
  const normals = new RandomNumbers(seed).for('random-projection').normals(dims * width);
  return {
    width,
    dims,
    mean: new Float64Array(width),
    components: Float64Array.from(normals, entry => entry / Math.sqrt(width)),
  };
}
