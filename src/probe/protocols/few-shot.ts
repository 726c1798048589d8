import { RandomNumbers } from '../../base/index.js';
import { selectedRows } from '../../rows/index.js';
import { fitLogistic, logisticScores } from '../logistic.js';
import { featureMatrix } from '../matrix.js';
import { scoredOn, type ProbeProtocol, type ProbeResult } from './protocol.js';

const FEW_SHOT_PENALTY = 0.01;

export const protocol: ProbeProtocol = {
  async run(task) {
    const results: ProbeResult[] = [];
    for (const shots of task.settings.shots) {
      const rows = fewRows(task.data.labels, task.classes, shots, task.settings.seed);
      if (!rows) {
        task.log.warn(
          `${task.train.name}: a class has fewer than ${shots} training rows; skipping the ${shots}-shot probe`,
        );
        continue;
      }
      const data = await featureMatrix(
        selectedRows(task.train, rows),
        rows.map(row => task.data.labels[row]),
        task.scale,
        task.data.communicator,
      );
      // Too few rows to spare any for choosing: one penalty for all.
      const [model] = await fitLogistic(data, { classes: task.classes, inversePenalties: [FEW_SHOT_PENALTY] });
      data.dispose();
      const scored = scoredOn(task, await logisticScores(model, task.heldout));
      results.push({ setting: `shots=${shots}`, scored, converged: model.converged });
    }
    return results;
  },
};

/** Draws the same number of rows of each class by seed, ascending; undefined if a class has too few. */
function fewRows(labels: Int32Array, classes: number, shots: number, seed: number): Int32Array | undefined {
  const order = new RandomNumbers(seed).for(`few-shot-${shots}`).permutation(labels.length);
  const taken = new Int32Array(classes);
  const rows = order.filter(row => ++taken[labels[row]] <= shots);
  return taken.every(count => count >= shots) ? rows.sort() : undefined;
}
