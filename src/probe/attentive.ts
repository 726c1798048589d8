import { RandomNumbers } from '../base/index.js';
import { matMul, RandomStream, tf, valueAndGradients, type Tensor } from '../engine/index.js';
import { adamw, attend, linear, truncatedNormal, under, type Params } from '../nn/index.js';
import { rowBatches, rowsHere, type Batch } from './batches.js';
import { scoresOfRows, type FeatureMatrix } from './matrix.js';

/** A probe that may look at tokens one by one: one learned query per head attends over them, a linear layer reads it. */
export interface AttentiveOptions {
  classes: number;
  tokens: number;
  /** Width of keys and values over all heads. */
  width?: number;
  heads?: number;
  epochs?: number;
  batchSize?: number;
  lr?: number;
  weightDecay?: number;
  seed: number;
  progress?: (done: number, total: number) => void;
}

/**
 * Attentive probe (as Yu et al. 2022 pool with a learned query), trained by AdamW with a cosine. Ranks take those rows of a
 * batch that they hold; their gradients are added up.
 */
export async function attentiveScores(
  train: FeatureMatrix,
  test: FeatureMatrix,
  {
    classes,
    tokens,
    width = 64,
    heads = 4,
    epochs = 20,
    batchSize = 128,
    lr = 1e-3,
    weightDecay = 0.05,
    seed,
    progress,
  }: AttentiveOptions,
): Promise<Float32Array> {
  const channels = train.width / tokens;
  const shape = { tokens, channels, heads };
  const initial = tf.tidy(() => initialise(new RandomStream(seed).for('attentive'), channels, width, classes));
  const optimizer = adamw(initial, { weightDecay });
  tf.dispose(initial);
  try {
    const size = Math.min(batchSize, train.rows);
    const perEpoch = Math.max(1, Math.floor(train.rows / size));
    const steps = epochs * perEpoch;
    const here = rowsHere(train);
    const batches = rowBatches(train.rows, size, new RandomNumbers(seed).for('attentive-batches'));
    for (let step = 0; step < steps; step++) {
      const batch = here.part(batches(step));
      const rate = lr * 0.5 * (1 + Math.cos((Math.PI * step) / steps));
      const params = optimizer.read();
      const names = Object.keys(params);
      const gradients = await batch.summed(tf.tidy(() => gradientsOf(params, batch, shape, classes)));
      tf.dispose(params);
      tf.tidy(() => optimizer.step(Object.fromEntries(names.map((name, i) => [name, gradients[i]])), { lr: rate }));
      tf.dispose([...gradients, batch.x]);
      if (step % 20 === 19) {
        await tf.nextFrame();
        progress?.(step + 1, steps);
      }
    }
    return await scoresOf(optimizer.read(), test, shape, classes);
  } finally {
    optimizer.dispose();
  }
}

/** Of every parameter: the part that the rows at hand have in the gradient of the batch's mean cross-entropy. */
function gradientsOf(params: Params, { x, labels, rows }: Batch, shape: Shape, classes: number): Tensor[] {
  const all = Object.values(params);
  if (x.shape[0] === 0) return all.map(param => tf.zeros(param.shape));
  const truth = tf.oneHot(tf.tensor1d(labels, 'int32'), classes);
  const loss = (): Tensor => {
    const logits = forward(params, x, shape);
    return logits
      .sub(tf.logSumExp(logits, 1, true))
      .mul(truth)
      .sum()
      .div(-rows);
  };
  return valueAndGradients(loss, all).gradients.map((gradient, i) => gradient ?? tf.zeros(all[i].shape));
}

interface Shape {
  tokens: number;
  channels: number;
  heads: number;
}

function initialise(random: RandomStream, channels: number, width: number, classes: number): Params {
  const weight = (name: string, ...shape: number[]): Tensor =>
    truncatedNormal(random.for(name), shape, shape[1] ** -0.5);
  return {
    query: weight('query', 1, width),
    'key.weight': weight('key', width, channels),
    'value.weight': weight('value', width, channels),
    'head.weight': tf.zeros([classes, width]),
    'head.bias': tf.zeros([classes]),
  };
}

/** x [n, tokens · channels] → scores [n, classes]. */
function forward(params: Params, x: Tensor, { tokens, channels, heads }: Shape): Tensor {
  const n = x.shape[0];
  const sequence = x.reshape([n, tokens, channels]);
  const split = (part: string): Tensor => {
    const all = linear(under(params, part), sequence);
    return tf.transpose(all.reshape([n, tokens, heads, all.shape[2]! / heads]), [0, 2, 1, 3]);
  };
  const [k, v] = [split('key'), split('value')];
  const q = tf.tile(params.query.reshape([1, heads, 1, k.shape[3]!]), [n, 1, 1, 1]);
  const pooled = attend(q, k, v).reshape([n, heads * k.shape[3]!]);
  return matMul(pooled, params['head.weight'], { transposeB: true }).add(params['head.bias']);
}

async function scoresOf(params: Params, data: FeatureMatrix, shape: Shape, classes: number): Promise<Float32Array> {
  // Blocks of the matrix are as large as products want them; attention's intermediates are larger.
  const step = 512;
  const scores = await scoresOfRows(data, classes, async x => {
    const out = new Float32Array(x.shape[0] * classes);
    for (let row = 0; row < x.shape[0]; row += step) {
      const block = tf.tidy(() =>
        forward(params, tf.slice2d(x, [row, 0], [Math.min(step, x.shape[0] - row), -1]), shape),
      );
      out.set(await block.data<'float32'>(), row * classes);
      block.dispose();
    }
    return out;
  });
  tf.dispose(params);
  return scores;
}
