import { RandomNumbers, silentLog, type Log } from '../../src/base/index.js';
import { tf, type Scalar, type Tensor } from '../../src/engine/index.js';
import {
  DEFAULT_SETTINGS,
  movingBuffers,
  train as trainTask,
  type Portion,
  type TrainingSettings,
  type TrainingTask,
} from '../../src/training/index.js';
import type { TrainOptions } from '../../src/training/loop.js';

export interface Rows {
  x: Tensor;
  y: Tensor;
}

/**
 * Regression of y = x · (1, −2, 3) by a two-layer network on noisy inputs, with a frozen scale and a buffer that counts
 * steps: small, but with everything in it that a checkpoint must hold.
 */
export function regression({
  rows = 8,
  loss = meanSquare,
  portion = { rows: { start: 0, end: rows } },
}: {
  rows?: number;
  loss?: (difference: Tensor, index: number) => Tensor;
  portion?: Pick<Portion, 'rows'>;
} = {}): TrainingTask<Rows & { index: number }> {
  const random = new RandomNumbers(7);
  const draw = (name: string, shape: number[]): Tensor =>
    tf.tensor(random.for(name).normals(shape.reduce((a, b) => a * b)), shape);
  return {
    name: 'regression',
    params: {
      'in.weight': draw('in', [5, 3]),
      'in.bias': tf.zeros([5]),
      'out.weight': draw('out', [1, 5]),
      scale: tf.scalar(1.5),
      seen: tf.scalar(0),
    },
    trains: name => name !== 'scale' && name !== 'seen',
    bufferRule: movingBuffers(() => 1),
    batch: index => Promise.resolve({ ...drawRows(index, rows, portion.rows), index }),
    loss(params, { x, y, index }, { random }) {
      const noisy = x.add(random.normalTensor(x.shape).mul(0.01));
      const hidden = tf.tanh(
        tf.matMul(noisy as never, params['in.weight'] as never, false, true).add(params['in.bias']),
      );
      const found = tf.matMul(hidden as never, params['out.weight'] as never, false, true).mul(params.scale);
      const difference = found.sub(y);
      return {
        loss: loss(difference, index) as Scalar,
        metrics: { mae: difference.abs().mean(), size: x.shape[0] },
        buffers: { seen: params.seen.add(1) },
        shared: { found },
      };
    },
  };
}

const meanSquare = (difference: Tensor): Tensor => difference.square().mean();

/** `rows` rows, or a stretch of them, that are a function of the index alone. */
export function drawRows(index: number, rows: number, { start, end } = { start: 0, end: rows }): Rows {
  const all = new RandomNumbers(3)
    .for('x')
    .at(index)
    .normals(rows * 3);
  const x = all.slice(3 * start, 3 * end);
  const n = end - start;
  const y = Float32Array.from({ length: n }, (_, i) => x[3 * i] - 2 * x[3 * i + 1] + 3 * x[3 * i + 2]);
  return { x: tf.tensor2d(x, [n, 3]), y: tf.tensor2d(y, [n, 1]) };
}

export const settings = (changes: Partial<TrainingSettings> = {}): TrainingSettings => ({
  ...DEFAULT_SETTINGS,
  steps: 12,
  lr: 0.01,
  batchSize: 8,
  ema: 0.9,
  logEvery: 4,
  checkpointEvery: 5,
  evaluateEvery: 6,
  ...changes,
});

type TinyOptions = Omit<TrainOptions, 'config'> & { config: Omit<TrainOptions['config'], 'training'> };

export function options(out: string, changes: Partial<TinyOptions> = {}): TinyOptions {
  return {
    out,
    config: { model: 'regression', precision: 'f32', options: { rows: 8 }, network: { hidden: 5 } },
    inputs: { data: 'abc' },
    info: { engine: 'test' },
    command: ['train', 'regression'],
    resume: false,
    force: false,
    log: silentLog,
    signal: new AbortController().signal,
    ...changes,
  };
}

/** `settings` become the part of the config that they are. */
export const train = (task: TrainingTask, training: TrainingSettings, { config, ...more }: TinyOptions) =>
  trainTask(task, { ...more, config: { ...config, training } });

export const trainTiny = (out: string, changes: Partial<TrainingSettings> = {}, more: Partial<TinyOptions> = {}) =>
  train(regression(), settings(changes), options(out, more));

/** A log whose progress runs `at(step)` when a step is done. */
export const watching = (at: (step: number) => void): Log => ({
  ...silentLog,
  progress: () => ({ update: at, stop: () => undefined }),
});

/** Settings of the run that kill.test.ts kills. */
export const KILLED: Partial<TrainingSettings> = { steps: 120, checkpointEvery: 15, logEvery: 3, evaluateEvery: 1000 };
