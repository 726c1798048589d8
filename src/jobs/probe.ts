import { RandomNumbers, UserError, type Log, type Progress } from '../base/index.js';
import { selectedRows, splitRows, type RowSource } from '../io/index.js';
import {
  attentiveScores,
  DINOV2,
  featureMatrix,
  features,
  fitLogistic,
  headScores,
  knnScores,
  logisticScores,
  MAE,
  score,
  standardisation,
  trainHeads,
  type Feature,
  type FeatureMatrix,
  type Scored,
  type Standardisation,
} from '../probe/index.js';

/** Labelled latents: rows [tokens · channels]. */
export interface LabelledLatents {
  name: string;
  rows: RowSource;
  tokens: number;
}

export type ProbeKind = 'logistic' | 'knn' | 'mae' | 'dinov2' | 'attentive' | 'few-shot';
export type Control = 'none' | 'shuffled-labels';

export interface ProbeSettings {
  features: Feature[];
  probes: ProbeKind[];
  controls: Control[];
  /** Share of rows for training where there is no test set of its own. */
  trainShare: number;
  seed: number;
  /** scikit-learn's C, of which the best on a validation part of the training rows is refitted on all of them. */
  inversePenalties: number[];
  neighbours: number[];
  /** Rows per class of the few-shot probe. */
  shots: number[];
}

export interface ProbeRow {
  source: string;
  feature: Feature;
  probe: ProbeKind;
  /** `C=0.01` or `k=20`. */
  setting: string;
  control: Control;
  dims: number;
  train_rows: number;
  test_rows: number;
  classes: number;
  accuracy: number;
  accuracy_low: number;
  accuracy_high: number;
  top5: number;
  calibration_error: number | null;
  converged: boolean | null;
}

/** Share of the training rows on which a penalty or a learning rate is chosen. */
const VALIDATION_SHARE = 0.2;

/** Probes one latent space: every feature × control × probe. `test` absent: rows are split by seed. */
export async function probeLatents(
  latents: LabelledLatents,
  test: LabelledLatents | undefined,
  settings: ProbeSettings,
  log: Log,
): Promise<ProbeRow[]> {
  const parts = divide(latents, test, settings);
  const rows: ProbeRow[] = [];
  for (const feature of settings.features) {
    for (const control of settings.controls) {
      log.note(`${latents.name}: probing ${feature} features${control === 'none' ? '' : `, control: ${control}`}`);
      await withTask(latents, parts, feature, control, settings, log, async task => {
        for (const probe of settings.probes)
          for (const result of await PROBES[probe](task)) rows.push(rowOf(task, { feature, control, probe }, result));
      });
    }
  }
  return rows;
}

/** Loads the features of one feature × control, and frees them after `use`. */
async function withTask(
  { name, tokens }: LabelledLatents,
  parts: Parts,
  feature: Feature,
  control: Control,
  settings: ProbeSettings,
  log: Log,
  use: (task: ProbeTask) => Promise<void>,
): Promise<void> {
  const train = { ...features(feature, parts.train, tokens), name };
  const labels = control === 'none' ? parts.trainLabels : shuffled(parts.trainLabels, settings.seed);
  const scale = await standardisation(train);
  const data = await featureMatrix(train, labels, scale);
  const heldout = await featureMatrix(features(feature, parts.test, tokens), parts.testLabels, scale);
  const left = feature === 'mean' ? 1 : tokens;
  try {
    await use({ data, heldout, train, scale, labels, classes: parts.classes, tokens: left, settings, log });
  } finally {
    data.dispose();
    heldout.dispose();
  }
}

function rowOf(
  { data, heldout, classes, train }: ProbeTask,
  what: Pick<ProbeRow, 'feature' | 'probe' | 'control'>,
  { setting, scored, converged }: ProbeResult,
): ProbeRow {
  return {
    source: train.name,
    ...what,
    setting,
    dims: data.width,
    train_rows: data.rows,
    test_rows: heldout.rows,
    classes,
    accuracy: scored.accuracy,
    accuracy_low: scored.interval[0],
    accuracy_high: scored.interval[1],
    top5: scored.top5,
    // Votes of neighbours are no logits, so their softmax means nothing.
    calibration_error: what.probe === 'knn' ? null : scored.calibrationError,
    converged: converged ?? null,
  };
}

interface Parts {
  train: RowSource;
  trainLabels: Int32Array;
  test: RowSource;
  testLabels: Int32Array;
  classes: number;
}

function divide(latents: LabelledLatents, test: LabelledLatents | undefined, settings: ProbeSettings): Parts {
  const labels = labelsOf(latents);
  const classes = 1 + labels.reduce((most, label) => Math.max(most, label), 0);
  if (classes < 2) throw new UserError(`${latents.name}: all rows have the same label, there is nothing to probe for`);
  if (test) {
    const testLabels = labelsOf(test);
    if (test.rows.width !== latents.rows.width)
      throw new UserError(
        `${test.name}: its latents have ${test.rows.width} numbers, those of ${latents.name} ${latents.rows.width}; test on latents of the same tokenizer`,
      );
    const unknown = testLabels.find(label => label >= classes);
    if (unknown !== undefined) throw new UserError(`${test.name}: label ${unknown} does not occur in ${latents.name}`);
    return { train: latents.rows, trainLabels: labels, test: test.rows, testLabels, classes };
  }
  if (latents.rows.rows < 10)
    throw new UserError(
      `${latents.name}: ${latents.rows.rows} rows are too few to split into train and test; 10 are needed`,
    );
  const split = splitRows(latents.rows.rows, settings.trainShare, settings.seed);
  const take = (rows: Int32Array): Int32Array => rows.map(row => labels[row]);
  return {
    train: selectedRows(latents.rows, split.train),
    trainLabels: take(split.train),
    test: selectedRows(latents.rows, split.heldout),
    testLabels: take(split.heldout),
    classes,
  };
}

function labelsOf({ name, rows }: LabelledLatents): Int32Array {
  if (!rows.labels)
    throw new UserError(
      `${name}: has no labels, which a probe needs; extract from a folder with a subfolder per class`,
    );
  return rows.labels;
}

const shuffled = (labels: Int32Array, seed: number): Int32Array =>
  new RandomNumbers(seed)
    .for('shuffled-labels')
    .permutation(labels.length)
    .map(row => labels[row]);

interface ProbeTask {
  data: FeatureMatrix;
  heldout: FeatureMatrix;
  train: RowSource;
  scale: Standardisation;
  labels: Int32Array;
  classes: number;
  /** Tokens that a row still holds; 1 where they were averaged. */
  tokens: number;
  settings: ProbeSettings;
  log: Log;
}

interface ProbeResult {
  setting: string;
  scored: Scored;
  converged?: boolean;
}

const PROBES: Record<ProbeKind, (task: ProbeTask) => Promise<ProbeResult[]>> = {
  async logistic(task) {
    const inversePenalty = await choosePenalty(task);
    const [model] = await fitLogistic(task.data, { classes: task.classes, inversePenalties: [inversePenalty] });
    const scored = scoredOn(task, await logisticScores(model, task.heldout));
    return [{ setting: `C=${inversePenalty}`, scored, converged: model.converged }];
  },
  async knn(task) {
    const { data, heldout, classes, settings } = task;
    const ks = settings.neighbours.filter(k => k <= data.rows);
    const scores = await knnScores(data, heldout, classes, ks);
    return ks.map((k, i) => ({ setting: `k=${k}`, scored: scoredOn(task, scores[i]) }));
  },
  async mae(task) {
    const heads = await trainHeads(task.data, task.classes, MAE, training(task, 'MAE probe'));
    const [scores] = await headScores(heads, task.heldout);
    heads.dispose();
    return [{ setting: `lr=${MAE.rates[0]}`, scored: scoredOn(task, scores) }];
  },
  async dinov2(task) {
    const best = await withValidation(task, async (data, validation) => {
      const heads = await trainHeads(data, task.classes, DINOV2, training(task, 'DINOv2 probe, choosing the rate'));
      const scores = await headScores(heads, validation);
      heads.dispose();
      return indexOfBest(scores.map(own => score(own, validation.labels, task.classes).accuracy));
    });
    const protocol = { ...DINOV2, rates: [DINOV2.rates[best]] };
    const heads = await trainHeads(task.data, task.classes, protocol, training(task, 'DINOv2 probe'));
    const [scores] = await headScores(heads, task.heldout);
    heads.dispose();
    return [{ setting: `lr=${protocol.rates[0]}`, scored: scoredOn(task, scores) }];
  },
  async attentive(task) {
    const { data, heldout, classes, tokens } = task;
    // Averaged tokens leave nothing to attend to.
    if (tokens === 1) return [];
    const scores = await attentiveScores(data, heldout, { classes, tokens, ...training(task, 'attentive probe') });
    return [{ setting: `tokens=${tokens}`, scored: scoredOn(task, scores) }];
  },
  async 'few-shot'(task) {
    const results: ProbeResult[] = [];
    for (const shots of task.settings.shots) {
      const rows = fewRows(task.labels, task.classes, shots, task.settings.seed);
      if (!rows) {
        task.log.warn(`${task.train.name}: a class has fewer than ${shots} training rows; no ${shots}-shot probe`);
        continue;
      }
      const data = await featureMatrix(
        selectedRows(task.train, rows),
        rows.map(row => task.labels[row]),
        task.scale,
      );
      // Too few rows to spare any for choosing: one penalty for all.
      const [model] = await fitLogistic(data, { classes: task.classes, inversePenalties: [FEW_SHOT_PENALTY] });
      data.dispose();
      const scored = scoredOn(task, await logisticScores(model, task.heldout));
      results.push({ setting: `shots=${shots}`, scored, converged: model.converged });
    }
    return results;
  },
};

const FEW_SHOT_PENALTY = 0.01;

const scoredOn = ({ heldout, classes }: ProbeTask, scores: Float32Array): Scored =>
  score(scores, heldout.labels, classes);

/** Seed and progress of a probe that is trained step by step. */
function training({ settings, log }: ProbeTask, label: string) {
  let shown: Progress | undefined;
  return {
    seed: settings.seed,
    progress: (done: number, total: number): void => {
      shown ??= log.progress(label, total, 'steps');
      shown.update(done);
      if (done >= total) shown.stop();
    },
  };
}

/** The same number of rows of each class, drawn by seed, ascending; undefined where a class has too few. */
function fewRows(labels: Int32Array, classes: number, shots: number, seed: number): Int32Array | undefined {
  const order = new RandomNumbers(seed).for(`few-shot-${shots}`).permutation(labels.length);
  const taken = new Int32Array(classes);
  const rows = order.filter(row => ++taken[labels[row]] <= shots);
  return taken.every(count => count >= shots) ? rows.sort() : undefined;
}

/** The penalty with the best accuracy on a validation part of the training rows; the strongest of several. */
async function choosePenalty(task: ProbeTask): Promise<number> {
  const inversePenalties = [...task.settings.inversePenalties].sort((a, b) => a - b);
  if (inversePenalties.length === 1) return inversePenalties[0];
  return await withValidation(task, async (data, validation) => {
    const models = await fitLogistic(data, { classes: task.classes, inversePenalties });
    const accuracies: number[] = [];
    for (const model of models)
      accuracies.push(score(await logisticScores(model, validation), validation.labels, task.classes).accuracy);
    return inversePenalties[indexOfBest(accuracies)];
  });
}

/** The training rows in two parts, by seed: one to fit on, one to choose by. */
async function withValidation<T>(
  { train, labels, scale, settings }: ProbeTask,
  use: (data: FeatureMatrix, validation: FeatureMatrix) => Promise<T>,
): Promise<T> {
  const split = splitRows(train.rows, 1 - VALIDATION_SHARE, settings.seed + 1);
  const part = async (rows: Int32Array): Promise<FeatureMatrix> =>
    await featureMatrix(
      selectedRows(train, rows),
      rows.map(row => labels[row]),
      scale,
    );
  const [data, validation] = [await part(split.train), await part(split.heldout)];
  try {
    return await use(data, validation);
  } finally {
    data.dispose();
    validation.dispose();
  }
}

const indexOfBest = (values: number[]): number => values.indexOf(Math.max(...values));
