import { knnScores } from '../knn.js';
import { featureMatrix, unscaled } from '../matrix.js';
import { scoredOn, type ProbeProtocol } from './protocol.js';

export const protocol: ProbeProtocol = {
  async run(task) {
    const { classes, settings } = task;
    const ks = settings.neighbours.filter(k => k <= task.data.rows);
    // By the features' own directions: DINO's protocol scales nothing.
    const own = unscaled(task.train.width);
    const data = await featureMatrix(task.train, task.data.labels, own);
    const heldout = await featureMatrix(task.test, task.heldout.labels, own);
    try {
      const scores = await knnScores(data, heldout, classes, ks, settings.votes);
      return ks.map((k, i) => ({ setting: `k=${k}`, scored: scoredOn(task, scores[i]) }));
    } finally {
      data.dispose();
      heldout.dispose();
    }
  },
};
