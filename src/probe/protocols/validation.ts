import { selectedRows, splitRows } from '../../rows/index.js';
import { featureMatrix, type FeatureMatrix } from '../matrix.js';
import type { ProbeTask } from './protocol.js';

/** Share of the training rows on which a penalty or a learning rate is chosen. */
const VALIDATION_SHARE = 0.2;

/** The training rows in two parts, by seed: one to fit on, one to choose by. */
export async function withValidation<T>(
  { data: { labels, communicator }, train, scale, settings }: ProbeTask,
  use: (data: FeatureMatrix, validation: FeatureMatrix) => Promise<T>,
): Promise<T> {
  const split = splitRows(train.rows, 1 - VALIDATION_SHARE, settings.seed + 1);
  const part = async (rows: Int32Array): Promise<FeatureMatrix> =>
    await featureMatrix(
      selectedRows(train, rows),
      rows.map(row => labels[row]),
      scale,
      communicator,
    );
  const [data, validation] = [await part(split.train), await part(split.heldout)];
  try {
    return await use(data, validation);
  } finally {
    data.dispose();
    validation.dispose();
  }
}

export const indexOfBest = (values: number[]): number => values.indexOf(Math.max(...values));
