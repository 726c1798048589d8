import type { Log, Progress } from '../../base/index.js';
import type { RowSource } from '../../rows/index.js';
import type { FeatureMatrix, Standardisation } from '../matrix.js';
import type { Feature, Votes } from '../names.js';
import { score, type Scored } from '../scores.js';

export interface ProbeSettings {
  seed: number;
  /** scikit-learn's C, of which the best on a validation part of the training rows is refitted on all of them. */
  inversePenalties: number[];
  neighbours: number[];
  votes: Votes;
  /** Rows per class of the few-shot probe. */
  shots: number[];
}

/** Features of one source, and what they are scaled by. */
export interface ProbeTask {
  /** Standardised by the training rows. */
  data: FeatureMatrix;
  heldout: FeatureMatrix;
  /** As they are. */
  train: RowSource;
  test: RowSource;
  scale: Standardisation;
  classes: number;
  /** Tokens that a row still holds; 1 where they were averaged. */
  tokens: number;
  settings: ProbeSettings;
  log: Log;
}

export interface ProbeResult {
  setting: string;
  scored: Scored;
  converged?: boolean;
}

/** A way of probing: each is a file of this folder, and a line of `names.ts`. */
export interface ProbeProtocol {
  /** The one feature that it is defined on; absent: any. */
  feature?: Feature;
  /** A result per setting; none where the task lacks what it needs. */
  run(task: ProbeTask): Promise<ProbeResult[]>;
}

/** Judges scores [rows, classes] of the held-out rows. */
export const scoredOn = ({ heldout, classes }: ProbeTask, scores: Float32Array): Scored =>
  score(scores, heldout.labels, classes);

/** Seed and progress of a probe that is trained step by step. */
export function training({ settings, log }: ProbeTask, label: string) {
  let shown: Progress | undefined;
  return {
    seed: settings.seed,
    progress: (done: number, total: number): void => {
      shown ??= log.progress(label, total, 'steps');
      shown.update(done);
      if (done >= total) shown.stop();
    },
  };
}
