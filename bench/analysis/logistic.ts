import { fitLogistic, logisticScores, score } from '../../src/probe/index.js';
import { openClasses, writeClasses, type Classes } from './classes.js';
import { apart, type Work } from './work.js';

interface Classified extends Classes {
  /** scikit-learn's C. */
  inversePenalty: number;
  /** Both stop where no entry of the mean objective's gradient is larger. */
  tolerance: number;
  /** Share by which the objectives may differ. */
  objectiveWithin: number;
}

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
  prepare: (parameters, { folder }) => writeClasses(parameters, folder),
  async open(parameters, { folder }) {
    const { classes, inversePenalty, tolerance } = parameters;
    const { train, test } = await openClasses(parameters, folder);
    return async () => {
      const data = await train();
      const [model] = await fitLogistic(data, { classes, inversePenalties: [inversePenalty], tolerance });
      data.dispose();
      const { accuracy } = score(await logisticScores(model, test), test.labels, classes);
      return { objective: model.objective, accuracy, iterations: model.iterations };
    };
  },
  difference: (ours, theirs) =>
    apart('objective', ours, theirs, theirs.objective_within) ?? apart('accuracy', ours, theirs, 0.005),
};
