import { attentiveScores } from '../attentive.js';
import { scoredOn, training, type ProbeProtocol } from './protocol.js';

export const protocol: ProbeProtocol = {
  async run(task) {
    const { data, heldout, classes, tokens } = task;
    // Averaged tokens leave nothing to attend to.
    if (tokens === 1) return [];
    const scores = await attentiveScores(data, heldout, { classes, tokens, ...training(task, 'attentive probe') });
    return [{ setting: `tokens=${tokens}`, scored: scoredOn(task, scores) }];
  },
};
