import { RandomNumbers, type Log, type Progress } from '../base/index.js';
import { selectedRows, splitRows, type RowSource } from '../rows/index.js';
import { attentiveScores } from './attentive.js';
import { DINOV2, headScores, MAE, trainHeads, type HeadProtocol } from './heads.js';
import { knnScores, type Votes } from './knn.js';
import { fitLogistic, logisticScores } from './logistic.js';
import { featureMatrix, unscaled, type FeatureMatrix, type Standardisation } from './matrix.js';
import { score, type Scored } from './scores.js';

export type ProbeKind = 'logistic' | 'knn' | 'mae' | 'repa' | 'dinov2' | 'attentive' | 'few-shot';

export interface ProbeSettings {
  seed: number;
  /** scikit-learn's C, of which the best on a validation part of the training rows is refitted on all of them. */
  inversePenalties: number[];
  neighbours: number[];
  votes: Votes;
  /** Rows per class of the few-shot probe. */
  shots: number[];
}

/** Features of one source, and what they are scaled by. */
export interface ProbeTask {
  /** Standardised by the training rows. */
  data: FeatureMatrix;
  heldout: FeatureMatrix;
  /** As they are. */
  train: RowSource;
  test: RowSource;
  scale: Standardisation;
  classes: number;
  /** Tokens that a row still holds; 1 where they were averaged. */
  tokens: number;
  settings: ProbeSettings;
  log: Log;
}

export interface ProbeResult {
  setting: string;
  scored: Scored;
  converged?: boolean;
}

/** Share of the training rows on which a penalty or a learning rate is chosen. */
const VALIDATION_SHARE = 0.2;

export const PROBES: Record<ProbeKind, (task: ProbeTask) => Promise<ProbeResult[]>> = {
  async logistic(task) {
    const inversePenalty = await choosePenalty(task);
    const [model] = await fitLogistic(task.data, { classes: task.classes, inversePenalties: [inversePenalty] });
    const scored = scoredOn(task, await logisticScores(model, task.heldout));
    return [{ setting: `C=${inversePenalty}`, scored, converged: model.converged }];
  },
  async knn(task) {
    const { classes, settings } = task;
    const ks = settings.neighbours.filter(k => k <= task.data.rows);
    // By the features' own directions: DINO's protocol scales nothing.
    const own = unscaled(task.train.width);
    const data = await featureMatrix(task.train, task.data.labels, own);
    const heldout = await featureMatrix(task.test, task.heldout.labels, own);
    try {
      const scores = await knnScores(data, heldout, classes, ks, settings.votes);
      return ks.map((k, i) => ({ setting: `k=${k}`, scored: scoredOn(task, scores[i]) }));
    } finally {
      data.dispose();
      heldout.dispose();
    }
  },
  mae: task => oneHead(task, MAE, 'MAE probe'),
  // Token mean → BatchNorm → linear; the schedule, of which nothing was published, is MAE's.
  repa: task => oneHead(task, MAE, 'REPA probe'),
  async dinov2(task) {
    const best = await withValidation(task, async (data, validation) => {
      const heads = await trainHeads(data, task.classes, DINOV2, training(task, 'DINOv2 probe, choosing the rate'));
      const scores = await headScores(heads, validation);
      heads.dispose();
      return indexOfBest(scores.map(own => score(own, validation.labels, task.classes).accuracy));
    });
    return await oneHead(task, { ...DINOV2, rates: [DINOV2.rates[best]] }, 'DINOv2 probe');
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
      const rows = fewRows(task.data.labels, task.classes, shots, task.settings.seed);
      if (!rows) {
        task.log.warn(
          `${task.train.name}: a class has fewer than ${shots} training rows; skipping the ${shots}-shot probe`,
        );
        continue;
      }
      const data = await featureMatrix(
        selectedRows(task.train, rows),
        rows.map(row => task.data.labels[row]),
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

async function oneHead(task: ProbeTask, protocol: HeadProtocol, label: string): Promise<ProbeResult[]> {
  const heads = await trainHeads(task.data, task.classes, protocol, training(task, label));
  const [scores] = await headScores(heads, task.heldout);
  heads.dispose();
  return [{ setting: `lr=${protocol.rates[0]}`, scored: scoredOn(task, scores) }];
}

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

/** Draws the same number of rows of each class by seed, ascending; undefined if a class has too few. */
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
  { data: { labels }, train, scale, settings }: ProbeTask,
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
