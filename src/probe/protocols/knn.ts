import { inPhase } from '../../base/index.js';
import { knnScores } from '../knn.js';
import { featureMatrix, unscaled } from '../matrix.js';
import { scoredOn, type ProbeProtocol } from './protocol.js';

export const protocol: ProbeProtocol = {
  async run(task) {
    const { classes, settings, log } = task;
    const { rows, communicator } = task.data;
    const ks = settings.neighbours.filter(k => k <= rows);
    if (ks.length < settings.neighbours.length) {
      const tooMany = settings.neighbours.filter(k => k > rows).join(', ');
      log.warn(`${task.train.name}: has ${rows} training rows; no nearest-neighbour probe with k = ${tooMany}`);
    }
    if (ks.length === 0) return [];
    // By the features' own directions: DINO's protocol scales nothing.
    const own = unscaled(task.train.width);
    const data = await featureMatrix(task.train, task.data.labels, own, communicator);
    const heldout = await featureMatrix(task.test, task.heldout.labels, own, communicator);
    try {
      const phase = { label: 'k-NN probe', total: heldout.rows, unit: 'rows' };
      const scores = await inPhase(log, phase, () => knnScores(data, heldout, classes, ks, settings.votes));
      return ks.map((k, i) => ({ setting: `k=${k}`, scored: scoredOn(task, scores[i]) }));
    } finally {
      data.dispose();
      heldout.dispose();
    }
  },
};
