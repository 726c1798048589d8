/** The bytes that each part of a sweep may hold at once. */
export interface MemoryParts {
  /** Reduced rows between passes over them; what does not fit is kept in a temporary file. */
  train: number;
  heldout: number;
  /** Those of the permutation null, likewise. */
  permutedTrain: number;
  permutedHeldout: number;
  /** The fit by EM and the scores of its rows. */
  workspace: number;
  /** What works beside it: a fit by another algorithm, or the scores of held-out rows. */
  second: number;
}

/** The parts of a sweep's memory, which sum to the budget: their shares are powers of two and sums of them. */
export function splitMemory(budget: number): MemoryParts {
  return {
    train: budget / 8,
    heldout: budget / 16,
    permutedTrain: (budget * 3) / 64,
    permutedHeldout: budget / 64,
    workspace: budget / 2,
    second: budget / 4,
  };
}
