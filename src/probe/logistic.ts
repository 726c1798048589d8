import { matMul, tf, type Tensor, type Tensor1D } from '../engine/index.js';
import { lbfgs, type Evaluation } from './lbfgs.js';
import { scoresOfRows, type FeatureMatrix } from './matrix.js';
import { featureAxes, principalAxes, rowsForAxes, type Axes } from './principal.js';
import { summedOverRanks } from './sums.js';

/** Multinomial logistic regression: scores = x · weights + bias. */
export interface LogisticModel {
  /** [features, classes], row-major. */
  weights: Float32Array;
  bias: Float32Array;
  features: number;
  classes: number;
  iterations: number;
  converged: boolean;
  /** Mean cross-entropy over the training rows plus the penalty, nats. */
  objective: number;
}

export interface LogisticOptions {
  classes: number;
  /**
   * scikit-learn's inverse penalties C: the objective is mean cross-entropy + ‖weights‖² / (2 C rows). Each fit
   * starts from the one before, so ascending order is fastest.
   */
  inversePenalties: number[];
  maxIterations?: number;
  /** Stop when no entry of the mean objective's gradient, is larger. */
  tolerance?: number;
}

/** Axes beyond which they are not sought: the matrices alone would take gigabytes. */
const WIDEST = 8192;
/** Evaluations that principal axes save per fit: 30 to 260 on real pixels, by penalty. */
const SAVED = 150;
/** What an evaluation costs besides its products, as floating-point operations. */
const OVERHEAD = 5e8;

/**
 * One model per penalty, by L-BFGS along the features' principal axes. The Hessian of class c there is about
 * mean p (1 − p) · diag(spectrum) + penalty, p being the class' probabilities, which is what L-BFGS starts from at
 * every step: the iterations are a quarter of those without, the objective, and so the model, is the same. Weights of
 * fewer rows than columns lie in the rows' span, whatever the penalty, so as many axes as rows do. What ranks add up is
 * summed over their rows; the search itself takes the same steps on all of them.
 */
export async function fitLogistic(
  data: FeatureMatrix,
  { classes, inversePenalties, maxIterations = 500, tolerance = 1e-5 }: LogisticOptions,
): Promise<LogisticModel[]> {
  const { width, rows } = data;
  const axes = await (paysOff(data, classes, inversePenalties.length) ? principalAxes(data) : featureAxes(data));
  const sums = await classSums(data, axes, classes);
  const models: LogisticModel[] = [];
  try {
    const alongAxes = Float64Array.from(await sums.alongAxes.data());
    const counts = new Float64Array(classes);
    for (const label of data.labels) counts[label]++;
    const along = axes.spectrum.length;
    let variables = new Float64Array(classes * (along + 1));
    for (const inverse of inversePenalties) {
      const problem = { data, axes, classes, penalty: 1 / (inverse * rows), sums: sums.ofFeatures, alongAxes, counts };
      const result = await lbfgs(x => evaluate(problem, x), variables, { maxIterations, tolerance });
      variables = result.x as Float64Array<ArrayBuffer>;
      models.push({
        weights: await weightsOf(problem, variables),
        bias: Float32Array.from(variables.subarray(classes * along)),
        features: width,
        classes,
        iterations: result.iterations,
        converged: result.converged,
        objective: result.value,
      });
    }
    return models;
  } finally {
    axes.dispose();
    tf.dispose([sums.ofFeatures, sums.alongAxes]);
  }
}

/** Is finding the principal axes cheaper than the evaluations that they save? In floating-point operations. */
function paysOff(data: FeatureMatrix, classes: number, fits: number): boolean {
  const { rows, width } = data;
  const [axes, other] = rows < width ? [rows, 2 * width] : [width, rowsForAxes(data)];
  const cost = 2 * other * axes ** 2 + 20 * axes ** 3;
  return axes <= WIDEST && cost < SAVED * fits * (4 * rows * width * classes + OVERHEAD);
}

/**
 * Everything per class and row or feature has the classes first: the engine multiplies a few tall columns a fifth slower
 * than a few long rows.
 */
interface Problem {
  data: FeatureMatrix;
  axes: Axes;
  classes: number;
  penalty: number;
  /** [classes, features]: the sum of every class' rows on this rank. */
  sums: Tensor;
  /** The same of all ranks along the axes, on the host. */
  alongAxes: Float64Array;
  /** Rows per class. */
  counts: Float64Array;
}

async function classSums(
  data: FeatureMatrix,
  { basis }: Axes,
  classes: number,
): Promise<Record<'ofFeatures' | 'alongAxes', Tensor>> {
  const ofFeatures = tf.tidy(() => {
    let sums: Tensor = tf.zeros([classes, data.width]);
    for (const { x, start } of data.blocks) {
      const labels = tf.tensor1d(data.labels.subarray(start, start + x.shape[0]), 'int32');
      sums = sums.add(matMul(tf.oneHot(labels, classes).toFloat(), x, { transposeA: true }));
    }
    return sums;
  });
  const [ofAll] = await summedOverRanks(data.communicator, [ofFeatures.clone()]);
  const alongAxes = basis ? matMul(ofAll, basis) : ofAll.clone();
  ofAll.dispose();
  return { ofFeatures, alongAxes };
}

/** Wᵀ [classes, features] of the variables: weights along the axes, and the bias behind them. */
function weightTensor({ axes: { basis, spectrum }, classes }: Problem, x: Float64Array): Tensor {
  const { length } = spectrum;
  const along = tf.tensor2d(Float32Array.from(x.subarray(0, classes * length)), [classes, length]);
  return basis ? matMul(along, basis, { transposeB: true }) : along;
}

/** W [features, classes]. */
async function weightsOf(problem: Problem, x: Float64Array): Promise<Float32Array> {
  const weights = tf.tidy(() => weightTensor(problem, x).transpose());
  try {
    return (await weights.data()) as Float32Array;
  } finally {
    weights.dispose();
  }
}

/**
 * The objective along the axes. A row's cross-entropy is log Σ exp(scores) less its own class' score; the latter sum up
 * to ⟨W, class sums⟩, so the labels take no part in the passes over the rows. Sums that cancel are taken in float64.
 */
async function evaluate(problem: Problem, x: Float64Array): Promise<Evaluation> {
  const { data, axes, classes, penalty, alongAxes, counts } = problem;
  const { rows } = data;
  const { spectrum } = axes;
  const w = tf.tidy(() => weightTensor(problem, x));
  const { slope, total, squared, logSums, absolute } = await rowSums(problem, w, x);
  const { gradientAlong, steepest } = await alongTheAxes(problem, w, slope);
  const last = classes * spectrum.length;
  const gradient = new Float64Array(last + classes);
  const curvature = new Float64Array(last + classes);
  const doubts = doubtsOf(total, squared, rows);
  let value = logSums;
  for (let i = 0; i < last; i++) {
    value += x[i] * ((penalty * rows * x[i]) / 2 - alongAxes[i]);
    gradient[i] = gradientAlong[i];
    curvature[i] = doubts[Math.floor(i / spectrum.length)] * spectrum[i % spectrum.length] + penalty;
  }
  let steepestBias = 0;
  for (let c = 0; c < classes; c++) {
    value -= x[last + c] * counts[c];
    gradient[last + c] = (total[c] - counts[c]) / rows;
    curvature[last + c] = doubts[c];
    steepestBias = Math.max(steepestBias, Math.abs(gradient[last + c]));
  }
  return {
    value: value / rows,
    noise: (NOISE * absolute) / rows,
    gradient,
    curvature,
    steepest: Math.max(steepest, steepestBias),
  };
}

/** Share of a row's log Σ exp(scores), of which most cancels, that is lost to float32 sums; several roundings. */
const NOISE = 1e-6;

/**
 * Every class' mean p (1 − p), half-way (geometrically) to the mean of all classes: the doubtful rows of a class that few
 * doubt are not a fair sample of the features.
 */
function doubtsOf(total: Float64Array, squared: Float64Array, rows: number): Float64Array {
  const own = Float64Array.from(total, (sum, c) => Math.max(sum - squared[c], FLOOR) / rows);
  const mean = own.reduce((sum, doubt) => sum + doubt, 0) / own.length;
  return own.map(doubt => Math.sqrt(doubt * mean));
}

/** Classes that no row doubts keep this much of a row's p (1 − p). */
const FLOOR = 1e-3;

/** What all rows add up to. */
interface RowSums {
  /** Σ p x − class sums, [classes, features]. */
  slope: Tensor;
  /** Σ p and Σ p² of every class. */
  total: Float64Array;
  squared: Float64Array;
  /** Σ log Σ exp(scores), and of its absolute values. */
  logSums: number;
  absolute: number;
}

async function rowSums({ data, axes, classes, sums }: Problem, w: Tensor, x: Float64Array): Promise<RowSums> {
  const { blocks, communicator } = data;
  const parts = tf.tidy(() => {
    const bias = tf.tensor2d(Float32Array.from(x.subarray(classes * axes.spectrum.length)), [classes, 1]);
    let slope: Tensor = tf.neg(sums);
    let total: Tensor = tf.zeros([classes]);
    let squared: Tensor = tf.zeros([classes]);
    const logSums: Tensor1D[] = [tf.zeros([0])];
    for (const block of blocks) {
      const part = tf.tidy(() => ofBlock(w, bias, block.x));
      slope = slope.add(part.slope);
      total = total.add(part.total);
      squared = squared.add(part.squared);
      logSums.push(part.logSums);
    }
    return { slope, rest: [total, squared, tf.concat1d(logSums)] };
  });
  const [total, squared, logSums] = await Promise.all(parts.rest.map(part => part.data() as Promise<Float32Array>));
  tf.dispose(parts.rest);
  const [slope] = await summedOverRanks(communicator, [parts.slope]);
  const onHost = Float64Array.of(...total, ...squared, 0, 0);
  for (const logSum of logSums) {
    onHost[2 * classes] += logSum;
    onHost[2 * classes + 1] += Math.abs(logSum);
  }
  await communicator.allReduceSum(onHost);
  return {
    slope,
    total: onHost.subarray(0, classes),
    squared: onHost.subarray(classes, 2 * classes),
    logSums: onHost[2 * classes],
    absolute: onHost[2 * classes + 1],
  };
}

function ofBlock(w: Tensor, bias: Tensor, x: Tensor) {
  const scores = matMul(w, x, { transposeB: true }).add(bias);
  const largest = scores.max(0, true);
  const raised = scores.sub(largest).exp();
  const sums = raised.sum(0, true);
  const p = raised.div(sums);
  return {
    logSums: largest.add(sums.log()).reshape<Tensor1D>([-1]),
    slope: matMul(p, x),
    total: p.sum(1),
    squared: p.square().sum(1),
  };
}

/** The gradient along the axes, and the largest entry of that in W. Frees the weights and the slope. */
async function alongTheAxes(
  { data, axes, penalty }: Problem,
  w: Tensor,
  slope: Tensor,
): Promise<{ gradientAlong: Float32Array; steepest: number }> {
  const terms = tf.tidy(() => {
    const dw = slope.div(data.rows).add(w.mul(penalty));
    return [axes.basis ? matMul(dw, axes.basis) : dw.clone(), tf.max(tf.abs(dw))];
  });
  const [gradientAlong, steepest] = await Promise.all(terms.map(term => term.data() as Promise<Float32Array>));
  tf.dispose([...terms, w, slope]);
  // Ranks take the same steps only by the same bits, whatever processors they run on.
  await data.communicator.broadcast(gradientAlong);
  await data.communicator.broadcast(steepest);
  return { gradientAlong, steepest: steepest[0] };
}

/** Scores [rows, classes] of every row of the matrix. */
export async function logisticScores(
  { weights, bias, features, classes }: LogisticModel,
  data: FeatureMatrix,
): Promise<Float32Array> {
  const w = tf.tensor2d(weights, [features, classes]);
  const b = tf.tensor1d(bias);
  const scores = await scoresOfRows(data, classes, async x => {
    const block = tf.tidy(() => matMul(x, w).add(b));
    const values = await block.data<'float32'>();
    block.dispose();
    return values;
  });
  tf.dispose([w, b]);
  return scores;
}
