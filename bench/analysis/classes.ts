import { join } from 'node:path';
import { RandomNumbers } from '../../src/base/index.js';
import { tf, type Tensor2D } from '../../src/engine/index.js';
import { readNpy, writeNpy } from '../../src/io/index.js';
import { featureMatrix, unscaled } from '../../src/probe/index.js';
import type { FeatureMatrix } from '../../src/probe/matrix.js';
import { arrayRows } from '../../src/rows/index.js';
import { npyStream } from './npy-stream.js';

/** Features of images of some classes. */
export interface Classes {
  /** Without those for tests. */
  rows: number;
  dims: number;
  classes: number;
  [name: string]: number;
}

const CHUNK = 2000;
/** Rows that accuracy is measured on, behind those that are fitted. */
const TEST_ROWS = 5000;
/** Leading axes in which the classes differ, and by how much of the noise there: accuracies of 60 to 80%. */
const SIGNAL_AXES = 128;
const SIGNAL = 0.3;

export async function writeClasses({ rows, dims, classes }: Classes, folder: string): Promise<void> {
  const labels = new RandomNumbers(0, 'labels').integers(rows + TEST_ROWS, classes);
  await writeNpy(join(folder, 'labels.npy'), { shape: [labels.length], dtype: 'int32', data: labels });
  await writeFeatures(join(folder, 'rows.npy'), labels, dims, classes);
}

/** Those to fit, made anew at each call, and those to test. */
export async function openClasses({ rows, dims }: Classes, folder: string) {
  const x = (await readNpy(join(folder, 'rows.npy'))).data as Float32Array;
  const labels = (await readNpy(join(folder, 'labels.npy'))).data as Int32Array;
  const part = (from: number, to: number): Promise<FeatureMatrix> => {
    const source = arrayRows('rows', x.subarray(from * dims, to * dims), to - from, dims);
    return featureMatrix(source, labels.subarray(from, to), unscaled(dims));
  };
  return { train: () => part(0, rows), test: await part(rows, rows + TEST_ROWS) };
}

/** Rows of classes that overlap, of correlated features: a spectrum that falls by a power law, turned at random. */
async function writeFeatures(path: string, labels: Int32Array, dims: number, classes: number): Promise<void> {
  const random = new RandomNumbers(0, 'classes');
  const loadings = tf.tidy(() => {
    const spread = tf.range(1, dims + 1).pow(-0.5);
    const scale = spread.div(spread.square().sum().sqrt());
    const turn = tf.tensor2d(random.for('loadings').normals(dims * dims), [dims, dims]);
    return turn.mul<Tensor2D>(scale.expandDims(1));
  });
  const centres = random.for('centres').normals(classes * SIGNAL_AXES);
  const axes = Math.min(SIGNAL_AXES, dims);
  await npyStream(path, labels.length, dims, CHUNK, (start, count) => {
    const scores = random
      .at(start)
      .for('scores')
      .normals(count * dims);
    for (let i = 0; i < count; i++)
      for (let j = 0; j < axes; j++) scores[i * dims + j] += SIGNAL * centres[labels[start + i] * SIGNAL_AXES + j];
    const rows = tf.tidy(() => tf.matMul(tf.tensor2d(scores, [count, dims]), loadings));
    const data = rows.dataSync() as Float32Array;
    rows.dispose();
    return data;
  });
  loadings.dispose();
}
