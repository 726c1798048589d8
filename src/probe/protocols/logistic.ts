import { inPhase } from '../../base/index.js';
import { fitLogistic, logisticScores } from '../logistic.js';
import { score } from '../scores.js';
import { scoredOn, type ProbeProtocol, type ProbeTask } from './protocol.js';
import { indexOfBest, withValidation } from './validation.js';

export const protocol: ProbeProtocol = {
  async run(task) {
    const phase = { label: 'logistic probe', total: task.data.rows, unit: 'rows' };
    return await inPhase(task.log, phase, async () => {
      const inversePenalty = await choosePenalty(task);
      const [model] = await fitLogistic(task.data, { classes: task.classes, inversePenalties: [inversePenalty] });
      const scored = scoredOn(task, await logisticScores(model, task.heldout));
      return [{ setting: `C=${inversePenalty}`, scored, converged: model.converged }];
    });
  },
};

/** The penalty with the best accuracy on a validation part of the training rows; the strongest of several. */
async function choosePenalty(task: ProbeTask): Promise<number> {
  const inversePenalties = [...task.settings.inversePenalties].sort((a, b) => a - b);
  if (inversePenalties.length === 1) return inversePenalties[0];
  return await withValidation(task, async (data, validation) => {
    const models = await fitLogistic(data, { classes: task.classes, inversePenalties });
    const accuracies: number[] = [];
    for (const model of models)
      accuracies.push(score(await logisticScores(model, validation), validation.labels, task.classes).accuracy);
    return inversePenalties[indexOfBest(accuracies)];
  });
}
