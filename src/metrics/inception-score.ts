import { RandomNumbers } from '../base/index.js';
import type { DistributionMetric } from './metric.js';
import type { FeatureRows } from './rows.js';

/** Sums over one split of the images. */
interface Split {
  count: number;
  /** Σ over images of Σ_k p_k log p_k. */
  negativeEntropy: number;
  /** Σ over images of p. */
  sum: Float64Array;
}

export interface ScoreState {
  splits: Map<number, Split>;
  seen: number;
  splitOf: (index: number) => number;
}

/** `splitOf` says to which split the i-th image belongs. */
export const emptyScore = (splitOf: (index: number) => number): ScoreState => ({ splits: new Map(), seen: 0, splitOf });

/** Adds rows of logits. */
export function addLogits(state: ScoreState, { rows, width, data }: FeatureRows): void {
  const p = new Float64Array(width);
  for (let row = 0; row < rows; row++) {
    const logits = data.subarray(row * width, (row + 1) * width);
    const largest = logits.reduce((most, value) => Math.max(most, value), -Infinity);
    let total = 0;
    for (let k = 0; k < width; k++) total += p[k] = Math.exp(logits[k] - largest);
    const split = splitAt(state, state.splitOf(state.seen++), width);
    split.count++;
    for (let k = 0; k < width; k++) {
      const share = p[k] / total;
      // log p from the logits: p itself may have vanished.
      split.negativeEntropy += share * (logits[k] - largest - Math.log(total));
      split.sum[k] += share;
    }
  }
}

function splitAt({ splits }: ScoreState, index: number, width: number): Split {
  const known = splits.get(index) ?? { count: 0, negativeEntropy: 0, sum: new Float64Array(width) };
  splits.set(index, known);
  return known;
}

/** exp E KL(p(y|x) ‖ p(y)) of each split (Salimans et al. 2016), in the splits' order. */
export function splitScores({ splits }: ScoreState): number[] {
  const ordered = [...splits].sort(([a], [b]) => a - b);
  return ordered.map(([, { count, negativeEntropy, sum }]) => {
    const marginal = sum.reduce((total, mass) => {
      const p = mass / count;
      return total + (p > 0 ? p * Math.log(p) : 0);
    }, 0);
    return Math.exp(negativeEntropy / count - marginal);
  });
}

/** ADM's: consecutive runs of 5,000 images, whose last may be shorter and counts the same. */
const ADM_SPLIT = 5000;
export const consecutive =
  (size: number) =>
  (index: number): number =>
    Math.floor(index / size);

/** torch-fidelity's: the images in the order of a permutation (place → image), cut into equal parts. */
export function shuffledSplits(permutation: ArrayLike<number>, splits: number): (index: number) => number {
  const count = permutation.length;
  const split = new Int32Array(count);
  for (let part = 0; part < splits; part++) {
    const end = Math.floor(((part + 1) * count) / splits);
    for (let place = Math.floor((part * count) / splits); place < end; place++) split[permutation[place]] = part;
  }
  return index => split[index];
}

export interface InceptionScoreState {
  adm: ScoreState;
  torchFidelity: ScoreState;
}

/** Mean and population standard deviation over the splits, as both evaluators report them. */
function summary(state: ScoreState): { value: number; std: number } {
  const scores = splitScores(state);
  const value = scores.reduce((sum, score) => sum + score, 0) / scores.length;
  return { value, std: Math.sqrt(scores.reduce((sum, score) => sum + (score - value) ** 2, 0) / scores.length) };
}

export const inceptionScore: DistributionMetric<InceptionScoreState> = {
  name: 'is',
  sweep: 'drawn',
  needs: 'logits',
  sides: 'sample',
  init: ({ count, seed }) => ({
    adm: emptyScore(consecutive(ADM_SPLIT)),
    torchFidelity: emptyScore(shuffledSplits(new RandomNumbers(seed, 'inception-score').permutation(count), 10)),
  }),
  add: (state, rows) => {
    addLogits(state.adm, rows);
    addLogits(state.torchFidelity, rows);
  },
  value: ({ adm, torchFidelity }) =>
    Promise.resolve([
      { variant: 'adm (consecutive splits of 5000)', ...summary(adm) },
      { variant: 'torch-fidelity (10 shuffled splits)', ...summary(torchFidelity) },
    ]),
};
