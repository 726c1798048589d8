import { wilson } from '../statistics/index.js';

/** How well class scores tell the labels. */
export interface Scored {
  rows: number;
  /** Share of rows whose highest score is their label's. */
  accuracy: number;
  /** Wilson's 95% interval of the accuracy. */
  interval: [low: number, high: number];
  /** Share of rows whose label is among the five highest scores; a score of −∞ is among none. */
  top5: number;
  /** Accuracy of each class; NaN where it has no rows. */
  perClass: Float64Array;
  /** [classes, classes]: rows of true class i that were taken for class j. */
  confusion: Int32Array;
  /** Expected calibration error over 15 bins of the softmax's confidence (Guo et al. 2017). */
  calibrationError: number;
}

const BINS = 15;
const TOP = 5;

/** Judges scores [rows, classes]: logits, or logarithms of anything that classes share. */
export function score(scores: Float32Array, labels: Int32Array, classes: number): Scored {
  const rows = labels.length;
  const confusion = new Int32Array(classes * classes);
  const bins = Array.from({ length: BINS }, () => ({ rows: 0, confidence: 0, correct: 0 }));
  let correct = 0;
  let inFive = 0;
  for (let row = 0; row < rows; row++) {
    const own = scores.subarray(row * classes, (row + 1) * classes);
    const { best, confidence, rank } = judge(own, labels[row]);
    confusion[labels[row] * classes + best]++;
    if (best === labels[row]) correct++;
    if (rank < TOP && own[labels[row]] > -Infinity) inFive++;
    const bin = bins[Math.min(BINS - 1, Math.floor(confidence * BINS))];
    bin.rows++;
    bin.confidence += confidence;
    bin.correct += best === labels[row] ? 1 : 0;
  }
  const gap = bins.reduce((sum, bin) => sum + Math.abs(bin.correct - bin.confidence), 0);
  return {
    rows,
    accuracy: correct / rows,
    interval: wilson(correct, rows),
    top5: inFive / rows,
    perClass: classAccuracies(confusion, classes),
    confusion,
    calibrationError: gap / rows,
  };
}

/** The class with the highest score, its softmax probability, and how many classes score above the label. */
function judge(scores: Float32Array, label: number): { best: number; confidence: number; rank: number } {
  let best = 0;
  let rank = 0;
  for (let c = 0; c < scores.length; c++) {
    if (scores[c] > scores[best]) best = c;
    if (scores[c] > scores[label]) rank++;
  }
  let total = 0;
  for (const value of scores) total += Math.exp(value - scores[best]);
  return { best, confidence: 1 / total, rank };
}

function classAccuracies(confusion: Int32Array, classes: number): Float64Array {
  return Float64Array.from({ length: classes }, (_, c) => {
    const row = confusion.subarray(c * classes, (c + 1) * classes);
    return row[c] / row.reduce((sum, count) => sum + count, 0);
  });
}
