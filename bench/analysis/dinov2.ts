import { DINOV2, headScores, trainHeads } from '../../src/probe/heads.js';
import { score } from '../../src/probe/index.js';
import { openClasses, writeClasses, type Classes } from './classes.js';
import { apart, type Work } from './work.js';

interface Sweep extends Classes {
  steps: number;
}

export const work: Work<Sweep> = {
  about: 'linear heads at the thirteen rates of DINOv2’s protocol, trained at once: a step of a batch of 128',
  peer: 'a linear layer and a group of SGD’s for each rate',
  modules: ['numpy', 'torch'],
  cases: quick => {
    const size = quick ? { rows: 3000, dims: 128, classes: 10 } : { rows: 50_000, dims: 1024, classes: 100 };
    const steps = quick ? 20 : 300;
    return [{ label: 'DINOv2 sweep', parameters: { ...size, steps }, steps, atLeast: 3 }];
  },
  prepare: (parameters, { folder }) => writeClasses(parameters, folder),
  async open(parameters, { folder }) {
    const { classes, steps } = parameters;
    const { train, test } = await openClasses(parameters, folder);
    const data = await train();
    return async () => {
      const heads = await trainHeads(data, classes, { ...DINOV2, steps }, { seed: 0 });
      const scores = await headScores(heads, test);
      heads.dispose();
      return { accuracy: Math.max(...scores.map(own => score(own, test.labels, classes).accuracy)) };
    };
  },
  // Other weights to begin with and other batches.
  difference: (ours, theirs) => apart('accuracy', ours, theirs, 0.03),
};
