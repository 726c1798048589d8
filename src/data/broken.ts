import { UserError } from '../base/index.js';
import { gatherValues, type Communicator } from '../distributed/index.js';
import type { ImageDataset } from './dataset.js';

/** Tells every rank, and through its log the user, which images of a data set the others could not read. */
export async function tellBroken(communicator: Communicator, dataset: ImageDataset): Promise<void> {
  if (communicator.size === 1) return;
  const all = await gatherValues(communicator, [...dataset.broken]);
  for (const [index, problem] of all.flat()) dataset.reportBroken(index, new UserError(problem));
}
