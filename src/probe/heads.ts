import { RandomNumbers } from '../base/index.js';
import { gathered, gatherParts, shareOf } from '../distributed/index.js';
import {
  matMul,
  RandomStream,
  tf,
  variable,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Variable,
} from '../engine/index.js';
import { rowBatches, rowsHere, type RowsHere } from './batches.js';
import { NORM_EPS, takeStep, type HeadState } from './head-step.js';
import { heldRows, type FeatureMatrix } from './matrix.js';

/** How the linear heads of a published protocol are trained on fixed features. */
export interface HeadProtocol {
  /** Learning rates before scaling by batchSize / 256, one head each; all are trained at once on the same batches. */
  rates: number[];
  /** Rows per update; a tenth of the rows where there are fewer than ten such batches. */
  batchSize: number;
  /** Passes over the rows; or `steps` updates. */
  epochs?: number;
  steps?: number;
  /** Epochs of linear warm-up before the cosine to 0. */
  warmupEpochs: number;
  momentum: number;
  /** Layer-wise adaptive rates (You et al. 2017, trust coefficient 0.001) for the weights; biases take plain steps. */
  lars: boolean;
  /** Features normalised by their batch (BatchNorm without affine, eps 1e-6) before the head. */
  batchNorm: boolean;
}

/** He et al. 2022 (MAE), appendix A.1; also what REPA applies to token means. */
export const MAE: HeadProtocol = {
  rates: [0.1],
  batchSize: 16_384,
  epochs: 90,
  warmupEpochs: 10,
  momentum: 0.9,
  lars: true,
  batchNorm: true,
};

/** Oquab et al. 2023 (DINOv2): thirteen rates at once, the best on validation rows counts. */
export const DINOV2: HeadProtocol = {
  rates: [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1],
  batchSize: 128,
  steps: 12_500,
  warmupEpochs: 0,
  momentum: 0.9,
  lars: false,
  batchNorm: false,
};

/** Linear heads over one batch normalisation; the caller disposes of it. */
export interface Heads {
  count: number;
  classes: number;
  /** [features, heads · classes]. */
  weights: Tensor2D;
  bias: Tensor1D;
  /** Running statistics of the batch normalisation, or its absence. */
  norm: Norm | undefined;
  dispose(): void;
}

interface Norm {
  mean: Tensor;
  variance: Tensor;
}

/** Standard deviation of the initial weights. */
const INITIAL_STD = 0.01;

/**
 * Trains all heads of a protocol by minibatch gradients of the cross-entropy, drawn by seed. Ranks take some of several
 * heads each, and of a single one the rows of a batch that they hold.
 */
export async function trainHeads(
  data: FeatureMatrix,
  classes: number,
  protocol: HeadProtocol,
  { seed, progress }: { seed: number; progress?: (done: number, total: number) => void },
): Promise<Heads> {
  const { communicator, rows, width } = data;
  const plan = schedule(rows, protocol);
  const byHeads = protocol.rates.length > 1;
  const { start, end } = byHeads ? shareOf(communicator, protocol.rates.length) : { start: 0, end: 1 };
  const columns = { start: start * classes, end: end * classes };
  const state = initialState(width, protocol.rates.length * classes, columns, seed);
  // Each column's own rate. It stays that of the published batch where the batch must be smaller: LARS moves weights
  // by a share of their norm per step, so with rate and steps both cut they would hardly leave their start.
  const perColumn = tf.tensor1d(
    protocol.rates
      .slice(start, end)
      .flatMap(rate => new Array<number>(classes).fill((rate * protocol.batchSize) / 256)),
  );
  const here = rowsHere(data);
  const batches = rowBatches(rows, plan.batch, new RandomNumbers(seed).for('probe-batches'));
  for (let step = 0; step < plan.steps; step++) {
    const batch = await batchOf(here, batches(step), byHeads);
    if (end > start) {
      const rate = perColumn.mul(plan.factor(step));
      await takeStep(state, batch, { ...protocol, rate, classes, heads: end - start });
      rate.dispose();
    }
    batch.x.dispose();
    // Lets the event loop, and so a Ctrl-C, have its turn; the work above is synchronous.
    if (step % 50 === 49) {
      await tf.nextFrame();
      progress?.(step + 1, plan.steps);
    }
  }
  perColumn.dispose();
  const heads = await gatheredHeads(data, classes, protocol, state);
  for (const part of Object.values(state)) part.dispose();
  return heads;
}

function initialState(width: number, columns: number, own: { start: number; end: number }, seed: number): HeadState {
  const random = new RandomStream(seed).for('probe-heads');
  const count = own.end - own.start;
  const of = (initial: () => Tensor): Variable => {
    const numbers = tf.tidy(initial);
    const made = variable(numbers);
    numbers.dispose();
    return made;
  };
  return {
    w: of(() => tf.slice2d(random.normalTensor([width, columns]).mul(INITIAL_STD), [0, own.start], [width, count])),
    b: of(() => tf.zeros([count])),
    vw: of(() => tf.zeros([width, count])),
    vb: of(() => tf.zeros([count])),
    mean: of(() => tf.zeros([width])),
    variance: of(() => tf.ones([width])),
  };
}

/** Whole batches on every rank where they have heads of their own, else what of a batch they hold. */
async function batchOf(here: RowsHere, rows: Int32Array, byHeads: boolean) {
  return byHeads ? await here.whole(rows) : here.part(rows);
}

/** All heads on all ranks, from those that each has trained. */
async function gatheredHeads(
  { communicator, width }: FeatureMatrix,
  classes: number,
  { rates, batchNorm }: HeadProtocol,
  { w, b, mean, variance }: HeadState,
): Promise<Heads> {
  const all = async (own: Tensor, height: number): Promise<Tensor> => {
    if (communicator.size === 1 || rates.length === 1) return own;
    const parts = await gatherParts(communicator, await own.data<'float32'>());
    own.dispose();
    return tf.tidy(() =>
      tf.concat(
        parts.filter(({ length }) => length > 0).map(part => tf.tensor2d(part, [height, part.length / height])),
        1,
      ),
    );
  };
  const weights = (await all(w.read(), width)) as Tensor2D;
  const bias = await all(b.read(), 1);
  const flat = bias.reshape<Tensor1D>([-1]);
  bias.dispose();
  const norm = batchNorm ? { mean: mean.read(), variance: variance.read() } : undefined;
  return {
    count: rates.length,
    classes,
    weights,
    bias: flat,
    norm,
    dispose: () => tf.dispose([weights, flat, ...Object.values(norm ?? {})]),
  };
}

/** Scores that are computed together. */
const SCORES_AT_ONCE = 2 ** 21;

/** Scores [rows, classes] of each head. */
export async function headScores(
  { count, classes, weights, bias, norm }: Heads,
  data: FeatureMatrix,
): Promise<Float32Array[]> {
  const held = heldRows(data);
  const scores = Array.from({ length: count }, () => new Float32Array((held.end - held.start) * classes));
  const most = Math.max(1, Math.floor(SCORES_AT_ONCE / (count * classes)));
  for (const { x, start } of data.blocks)
    for (let from = 0; from < x.shape[0]; from += most) {
      const rows = Math.min(most, x.shape[0] - from);
      const block = tf.tidy(() => {
        const own = x.slice([from, 0], [rows, -1]);
        const input = norm ? own.sub(norm.mean).mul(norm.variance.add(NORM_EPS).rsqrt()) : own;
        const logits = matMul(input, weights).add(bias);
        return tf.transpose(logits.reshape([rows, count, classes]), [1, 0, 2]);
      });
      const values = (await block.data()) as Float32Array;
      const size = rows * classes;
      scores.forEach((own, head) =>
        own.set(values.subarray(head * size, (head + 1) * size), (start + from - held.start) * classes),
      );
      block.dispose();
    }
  const all: Float32Array[] = [];
  for (const own of scores) all.push(await gathered(data.communicator, own));
  return all;
}

interface Plan {
  batch: number;
  steps: number;
  /** Factor of the learning rate at a step. */
  factor(step: number): number;
}

function schedule(rows: number, { batchSize, epochs, steps, warmupEpochs }: HeadProtocol): Plan {
  const batch = Math.min(batchSize, Math.ceil(rows / 10));
  const perEpoch = Math.max(1, Math.floor(rows / batch));
  const total = steps ?? (epochs ?? 1) * perEpoch;
  const warmup = warmupEpochs * perEpoch;
  return {
    batch,
    steps: total,
    factor: step =>
      step < warmup ? step / warmup : 0.5 * (1 + Math.cos((Math.PI * (step - warmup)) / Math.max(1, total - warmup))),
  };
}
