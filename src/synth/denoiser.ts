import { RandomStream, tf, valueAndGradients, type Scalar, type Tensor, type Tensor2D } from '../engine/index.js';
import type { Mixture } from '../gmm/index.js';
import { adamw, linear, mlp, under, uniform, type Params } from '../nn/index.js';
import { drawRows } from './planted.js';
import { bestVelocity } from './velocity.js';

export interface DenoiserOptions {
  /** Rows to learn from. */
  rows: number;
  steps: number;
  batch: number;
  /** Hidden width, and residual blocks of it. */
  width: number;
  depth: number;
  lr: number;
  seed: number;
  /** Called after a step; may wait or throw. */
  onStep?: ((done: number, total: number) => Promise<void> | void) | undefined;
}

export interface DenoiserResult {
  /** Mean squared distance from the best velocity per dimension, over the time in [0, 1]: the loss less its floor. */
  excess: number;
  /** At which step it was least. */
  step: number;
  /** Over the last tenth of the steps, on the training rows. */
  trainLoss: number;
}

const TEST_ROWS = 2048;
const CHECKS = 10;
const WARMUP = 50;
const FREQUENCIES = 6;

/**
 * Trains a small velocity network on rows drawn from a mixture, and measures it against the mixture's best velocity on
 * rows that it never saw. The least of ten measurements counts: with few rows a network that is trained on learns them
 * by heart.
 */
export async function trainDenoiser(mixture: Mixture, options: DenoiserOptions): Promise<DenoiserResult> {
  const { rows, steps, batch, lr, seed, onStep } = options;
  const { dims } = mixture;
  const random = new RandomStream(seed).for('denoiser');
  const data = drawRows(mixture, rows, random.for('train')).data;
  const test = testCase(mixture, random.for('test'));
  const initial = initialParams(dims, options, random.for('weights'));
  const optimizer = adamw(initial, { weightDecay: 0 });
  tf.dispose(initial);
  let best = { excess: Infinity, step: 0 };
  let [recent, counted] = [0, 0];
  try {
    for (let step = 0; step < steps; step++) {
      const draw = batchOf(data, rows, dims, batch, random.at(step));
      const params = optimizer.read();
      const rate =
        lr * Math.min(1, (step + 1) / Math.min(WARMUP, steps / 10)) * 0.5 * (1 + Math.cos((Math.PI * step) / steps));
      const { loss, gradients } = lossAndGradients(params, draw);
      tf.dispose({ ...params, ...draw });
      optimizer.step(gradients, { lr: rate });
      tf.dispose(gradients);
      if (step >= 0.9 * steps) {
        recent += (await loss.data<'float32'>())[0];
        counted++;
      }
      loss.dispose();
      if (isCheck(step, steps)) {
        const now = optimizer.read();
        const error = tf.tidy(() => velocity(now, test.x, test.t).sub(test.best).square().mean());
        const excess = (await error.data<'float32'>())[0];
        tf.dispose({ ...now, error });
        if (excess < best.excess) best = { excess, step: step + 1 };
      }
      await onStep?.(step + 1, steps);
    }
    return { ...best, trainLoss: recent / counted };
  } finally {
    optimizer.dispose();
    tf.dispose({ ...test });
  }
}

/** Ten times in all, evenly, the last step among them. */
const isCheck = (step: number, steps: number): boolean =>
  Math.floor((CHECKS * (step + 1)) / steps) > Math.floor((CHECKS * step) / steps);

/** Points of the path and their best velocity; times are spread evenly, so that the mean is over all of them alike. */
function testCase(mixture: Mixture, random: RandomStream): { x: Tensor2D; t: Tensor2D; best: Tensor2D } {
  const { dims } = mixture;
  const { data } = drawRows(mixture, TEST_ROWS, random);
  return tf.tidy(() => {
    const t = tf.tensor2d(
      Float32Array.from({ length: TEST_ROWS }, (_, i) => (i + 0.5) / TEST_ROWS),
      [TEST_ROWS, 1],
    );
    const noise = random.for('noise').normalTensor([TEST_ROWS, dims]);
    const x = tf
      .tensor2d(data, [TEST_ROWS, dims])
      .mul(t)
      .add<Tensor2D>(noise.mul(tf.sub(1, t)));
    return { x, t, best: bestVelocity(mixture, x, t) };
  });
}

interface Draw {
  x: Tensor2D;
  t: Tensor2D;
  v: Tensor2D;
}

function batchOf(data: Float32Array, rows: number, dims: number, batch: number, random: RandomStream): Draw {
  const chosen = random.for('rows').integers(batch, rows);
  const offset = random.for('offset').uniforms(1)[0];
  const picked = new Float32Array(batch * dims);
  chosen.forEach((row, i) => picked.set(data.subarray(row * dims, (row + 1) * dims), i * dims));
  return tf.tidy(() => {
    const x1 = tf.tensor2d(picked, [batch, dims]);
    const x0 = random.for('noise').normalTensor([batch, dims]);
    const t = tf.tensor2d(
      Float32Array.from({ length: batch }, (_, i) => (i + offset) / batch),
      [batch, 1],
    );
    return { x: x1.mul(t).add<Tensor2D>(x0.mul(tf.sub(1, t))), t, v: x1.sub<Tensor2D>(x0) };
  });
}

function lossAndGradients(params: Params, { x, t, v }: Draw): { loss: Scalar; gradients: Params } {
  const names = Object.keys(params);
  const { value, gradients } = valueAndGradients(
    () => velocity(params, x, t).sub(v).square().mean<Scalar>(),
    names.map(name => params[name]),
  );
  return { loss: value, gradients: Object.fromEntries(names.map((name, i) => [name, gradients[i]!])) };
}

/** x [n, dims], t [n, 1] → [n, dims] */
function velocity(params: Params, x: Tensor2D, t: Tensor2D): Tensor {
  const phases = t.mul(
    tf.tensor2d(
      Float32Array.from({ length: FREQUENCIES }, (_, i) => Math.PI * 2 ** (i - 1)),
      [1, FREQUENCIES],
    ),
  );
  let hidden = linear(under(params, 'in'), tf.concat([x, t, phases.sin(), phases.cos()], 1));
  for (let block = 0; `blocks.${block}.fc1.weight` in params; block++)
    hidden = hidden.add(mlp(under(params, `blocks.${block}`), hidden));
  return linear(under(params, 'out'), hidden);
}

function initialParams(dims: number, { width, depth }: DenoiserOptions, random: RandomStream): Params {
  const layers: [name: string, inputs: number, outputs: number][] = [['in', dims + 1 + 2 * FREQUENCIES, width]];
  for (let block = 0; block < depth; block++)
    layers.push([`blocks.${block}.fc1`, width, 2 * width], [`blocks.${block}.fc2`, 2 * width, width]);
  layers.push(['out', width, dims]);
  return Object.fromEntries(
    layers.flatMap(([name, inputs, outputs]) => [
      [`${name}.weight`, uniform(random.for(name), [outputs, inputs], 1 / Math.sqrt(inputs))],
      [`${name}.bias`, tf.zeros([outputs])],
    ]),
  );
}
