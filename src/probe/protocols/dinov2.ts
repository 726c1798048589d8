import { DINOV2, headScores, trainHeads } from '../heads.js';
import { score } from '../scores.js';
import { oneHead } from './one-head.js';
import { training, type ProbeProtocol } from './protocol.js';
import { indexOfBest, withValidation } from './validation.js';

export const protocol: ProbeProtocol = {
  async run(task) {
    const best = await withValidation(task, async (data, validation) => {
      const heads = await trainHeads(data, task.classes, DINOV2, training(task, 'DINOv2 probe, choosing the rate'));
      const scores = await headScores(heads, validation);
      heads.dispose();
      return indexOfBest(scores.map(own => score(own, validation.labels, task.classes).accuracy));
    });
    return await oneHead(task, { ...DINOV2, rates: [DINOV2.rates[best]] }, 'DINOv2 probe');
  },
};
