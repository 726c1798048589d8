import { join } from 'node:path';
import { RandomNumbers } from '../../src/base/index.js';
import { tf, type Tensor2D } from '../../src/engine/index.js';
import { readNpy, writeNpy } from '../../src/io/index.js';
import { arrayRows } from '../../src/rows/index.js';
import { featureMatrix, fitLogistic, logisticScores, score, unscaled } from '../../src/probe/index.js';
import { npyStream } from './npy-stream.js';
import { apart, type Work } from './work.js';

interface Classified {
  rows: number;
  dims: number;
  classes: number;
  /** scikit-learn's C. */
  inversePenalty: number;
  /** Both stop where no entry of the mean objective's gradient is larger. */
  tolerance: number;
  /** Share by which the objectives may differ. */
  objectiveWithin: number;
  [name: string]: number;
}

const CHUNK = 2000;
/** Rows that accuracy is measured on, behind those that are fitted. */
const TEST_ROWS = 5000;
/** Leading axes in which the classes differ, and by how much of the noise there: accuracies of 60 to 80%. */
const SIGNAL_AXES = 128;
const SIGNAL = 0.3;

export const work: Work<Classified> = {
  about: 'a multinomial logistic regression of features in memory',
  peer: 'LogisticRegression, lbfgs, float32',
  cases: quick => {
    const size = quick ? { rows: 3000, dims: 128, classes: 10 } : { rows: 50_000, dims: 1024, classes: 100 };
    const fit = { ...size, inversePenalty: 0.01 };
    return [
      {
        label: 'logistic, to the optimum',
        parameters: { ...fit, tolerance: 2e-6, objectiveWithin: 1e-6 },
        atLeast: 3,
      },
      {
        label: 'logistic, scikit-learn’s tolerance',
        parameters: { ...fit, tolerance: 1e-4, objectiveWithin: 1e-3 },
        atLeast: 3,
      },
    ];
  },
  async prepare({ rows, dims, classes }, { folder }) {
    const labels = new RandomNumbers(0, 'labels').integers(rows + TEST_ROWS, classes);
    await writeNpy(join(folder, 'labels.npy'), { shape: [labels.length], dtype: 'int32', data: labels });
    await writeClasses(join(folder, 'rows.npy'), labels, dims, classes);
  },
  async open({ rows, dims, classes, inversePenalty, tolerance }, { folder }) {
    const x = (await readNpy(join(folder, 'rows.npy'))).data as Float32Array;
    const labels = (await readNpy(join(folder, 'labels.npy'))).data as Int32Array;
    const part = (from: number, to: number) => {
      const source = arrayRows('rows', x.subarray(from * dims, to * dims), to - from, dims);
      return featureMatrix(source, labels.subarray(from, to), unscaled(dims));
    };
    const test = await part(rows, rows + TEST_ROWS);
    return async () => {
      const data = await part(0, rows);
      const [model] = await fitLogistic(data, { classes, inversePenalties: [inversePenalty], tolerance });
      data.dispose();
      const { accuracy } = score(await logisticScores(model, test), test.labels, classes);
      return { objective: model.objective, accuracy, iterations: model.iterations };
    };
  },
  difference: (ours, theirs) =>
    apart('objective', ours, theirs, theirs.objective_within) ?? apart('accuracy', ours, theirs, 0.005),
};

/** Rows of classes that overlap, of correlated features: a spectrum that falls by a power law, turned at random. */
async function writeClasses(path: string, labels: Int32Array, dims: number, classes: number): Promise<void> {
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
