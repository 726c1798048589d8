import { RandomNumbers } from '../base/index.js';
import { matMul, RandomStream, tf, type Tensor, type Tensor1D, type Tensor2D } from '../engine/index.js';
import type { FeatureMatrix } from './matrix.js';

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

const NORM_EPS = 1e-6;
/** PyTorch's weight of the newest batch in the running statistics. */
const NORM_MOMENTUM = 0.1;
const TRUST = 1e-3;
/** Standard deviation of the initial weights. */
const INITIAL_STD = 0.01;

/** Trains all heads of a protocol by minibatch gradients of the cross-entropy, drawn by seed. */
export async function trainHeads(
  data: FeatureMatrix,
  classes: number,
  protocol: HeadProtocol,
  { seed, progress }: { seed: number; progress?: (done: number, total: number) => void },
): Promise<Heads> {
  const { rates, momentum, lars } = protocol;
  const plan = schedule(data.rows, protocol);
  const x = tf.tidy(() => tf.concat(data.blocks.map(block => block.x)));
  const random = new RandomStream(seed).for('probe-heads');
  const columns = rates.length * classes;
  let state = tf.tidy((): State => ({
    w: random.normalTensor([data.width, columns]).mul(INITIAL_STD),
    b: tf.zeros([columns]),
    vw: tf.zeros([data.width, columns]),
    vb: tf.zeros([columns]),
    mean: tf.zeros([data.width]),
    variance: tf.ones([data.width]),
  }));
  // Each column's own rate. It stays that of the published batch where the batch must be smaller: LARS moves weights
  // by a share of their norm per step, so with rate and steps both cut they would hardly leave their start.
  const perColumn = tf.tensor1d(
    rates.flatMap(rate => new Array<number>(classes).fill((rate * protocol.batchSize) / 256)),
  );
  const batches = rowBatches(data.rows, plan.batch, new RandomNumbers(seed).for('probe-batches'));
  for (let step = 0; step < plan.steps; step++) {
    const rows = batches(step);
    const next = tf.tidy((): State => {
      const batch = tf.gather(x, tf.tensor1d(rows, 'int32'));
      const labels = tf.tensor1d(
        rows.map(row => data.labels[row]),
        'int32',
      );
      return update(state, batch, labels, {
        rate: perColumn.mul(plan.factor(step)),
        heads: rates.length,
        momentum,
        lars,
        protocol,
      });
    });
    tf.dispose(Object.values(state));
    state = next;
    // Lets the event loop, and so a Ctrl-C, have its turn; the work above is synchronous.
    if (step % 50 === 49) {
      await tf.nextFrame();
      progress?.(step + 1, plan.steps);
    }
  }
  tf.dispose([x, perColumn, state.vw, state.vb]);
  const { w, b, mean, variance } = state;
  if (!protocol.batchNorm) tf.dispose([mean, variance]);
  return {
    count: rates.length,
    classes,
    weights: w as Tensor2D,
    bias: b as Tensor1D,
    norm: protocol.batchNorm ? { mean, variance } : undefined,
    dispose: () => tf.dispose([w, b, mean, variance]),
  };
}

/** Scores [rows, classes] of each head. */
export async function headScores(
  { count, classes, weights, bias, norm }: Heads,
  data: FeatureMatrix,
): Promise<Float32Array[]> {
  const scores = Array.from({ length: count }, () => new Float32Array(data.rows * classes));
  for (const { x, start } of data.blocks) {
    const block = tf.tidy(() => {
      const input = norm ? x.sub(norm.mean).mul(norm.variance.add(NORM_EPS).rsqrt()) : x;
      const logits = matMul(input, weights).add(bias);
      return tf.transpose(logits.reshape([x.shape[0], count, classes]), [1, 0, 2]);
    });
    const values = (await block.data()) as Float32Array;
    const size = x.shape[0] * classes;
    scores.forEach((own, head) => own.set(values.subarray(head * size, (head + 1) * size), start * classes));
    block.dispose();
  }
  return scores;
}

type State = Record<'w' | 'b' | 'vw' | 'vb' | 'mean' | 'variance', Tensor>;

interface UpdateOptions {
  /** Learning rate of every column, [heads · classes]. */
  rate: Tensor;
  heads: number;
  momentum: number;
  lars: boolean;
  protocol: HeadProtocol;
}

/** One step of SGD with momentum; the gradient of a softmax's cross-entropy in closed form. */
function update(
  state: State,
  batch: Tensor,
  labels: Tensor,
  { rate, heads, momentum, lars, protocol }: UpdateOptions,
): State {
  const n = batch.shape[0];
  const { mean, variance } = protocol.batchNorm ? tf.moments(batch, 0) : state;
  const input = protocol.batchNorm ? batch.sub(mean).mul(variance.add(NORM_EPS).rsqrt()) : batch;
  const classes = state.b.shape[0] / heads;
  const logits = matMul(input, state.w).add(state.b).reshape([n, heads, classes]);
  const truth = tf.oneHot(labels as Tensor1D, classes).reshape([n, 1, classes]);
  const error = tf
    .softmax(logits)
    .sub(truth)
    .div(n)
    .reshape([n, heads * classes]);
  const gradW = matMul(input, error, { transposeA: true });
  const vw = state.vw.mul(momentum).add(lars ? gradW.mul(trust(state.w, gradW, heads, classes)) : gradW);
  const vb = state.vb.mul(momentum).add(error.sum(0));
  // PyTorch keeps the unbiased variance.
  const blend = (old: Tensor, now: Tensor): Tensor => old.mul(1 - NORM_MOMENTUM).add(now.mul(NORM_MOMENTUM));
  return {
    w: state.w.sub(vw.mul(rate)),
    b: state.b.sub(vb.mul(rate)),
    vw,
    vb,
    mean: protocol.batchNorm ? blend(state.mean, mean) : state.mean.clone(),
    variance: protocol.batchNorm ? blend(state.variance, variance.mul(n / Math.max(1, n - 1))) : state.variance.clone(),
  };
}

/** LARS's factor of every head's weights, 0.001 ‖w‖ / ‖g‖, spread over its columns. */
function trust(w: Tensor, gradient: Tensor, heads: number, classes: number): Tensor {
  const norm = (x: Tensor): Tensor => x.square().sum(0).reshape([heads, classes]).sum(1).sqrt();
  const ratio = norm(w).div(norm(gradient).maximum(1e-12)).mul(TRUST);
  return tf.tile(ratio.reshape([heads, 1]), [1, classes]).reshape([heads * classes]);
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

/** Row numbers of a step's batch: consecutive parts of a fresh permutation per epoch, the rest of which is left out. */
function rowBatches(rows: number, batch: number, random: RandomNumbers): (step: number) => Int32Array {
  const perEpoch = Math.max(1, Math.floor(rows / batch));
  let epoch = -1;
  let order = new Int32Array(0);
  return step => {
    const wanted = Math.floor(step / perEpoch);
    if (wanted !== epoch) {
      epoch = wanted;
      order = random.at(epoch).permutation(rows) as Int32Array<ArrayBuffer>;
    }
    const at = (step % perEpoch) * batch;
    return order.slice(at, at + batch);
  };
}
