import { RandomNumbers } from '../base/index.js';
import { matMul, RandomStream, tf, valueAndGradients, type Tensor } from '../engine/index.js';
import { adamw, attend, linear, truncatedNormal, under, type Params } from '../nn/index.js';
import type { FeatureMatrix } from './matrix.js';

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

/** Attentive probe (as Yu et al. 2022 pool with a learned query), trained by AdamW with a cosine. */
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
  const x = tf.tidy(() => tf.concat(train.blocks.map(block => block.x)));
  try {
    const batch = Math.min(batchSize, train.rows);
    const perEpoch = Math.max(1, Math.floor(train.rows / batch));
    const steps = epochs * perEpoch;
    const random = new RandomNumbers(seed).for('attentive-batches');
    for (let step = 0; step < steps; step++) {
      const order = random.at(Math.floor(step / perEpoch)).permutation(train.rows);
      const rows = order.slice((step % perEpoch) * batch, ((step % perEpoch) + 1) * batch);
      const rate = lr * 0.5 * (1 + Math.cos((Math.PI * step) / steps));
      tf.tidy(() => {
        const params = optimizer.read();
        const names = Object.keys(params);
        const inputs = tf.gather(x, tf.tensor1d(rows, 'int32'));
        const truth = tf.oneHot(
          tf.tensor1d(
            rows.map(row => train.labels[row]),
            'int32',
          ),
          classes,
        );
        const loss = (): Tensor => {
          const logits = forward(params, inputs, shape);
          return logits
            .sub(tf.logSumExp(logits, 1, true))
            .mul(truth)
            .sum()
            .div(-batch);
        };
        const { gradients } = valueAndGradients(
          loss,
          names.map(name => params[name]),
        );
        const found = names.flatMap((name, i) => (gradients[i] ? [[name, gradients[i]] as const] : []));
        tf.dispose(params);
        optimizer.step(Object.fromEntries(found), { lr: rate });
      });
      if (step % 20 === 19) {
        await tf.nextFrame();
        progress?.(step + 1, steps);
      }
    }
    return await scoresOf(optimizer.read(), test, shape, classes);
  } finally {
    x.dispose();
    optimizer.dispose();
  }
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
  const scores = new Float32Array(data.rows * classes);
  // Blocks of the matrix are as large as products want them; attention's intermediates are larger.
  const step = 512;
  for (const { x, start } of data.blocks) {
    for (let row = 0; row < x.shape[0]; row += step) {
      const block = tf.tidy(() =>
        forward(params, tf.slice2d(x, [row, 0], [Math.min(step, x.shape[0] - row), -1]), shape),
      );
      scores.set(await block.data(), (start + row) * classes);
      block.dispose();
    }
  }
  tf.dispose(params);
  return scores;
}
