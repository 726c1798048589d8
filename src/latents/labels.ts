import { UserError } from '../base/index.js';
import { asInt32, type NdArray } from '../io/index.js';

/** Labels as files hold them → one class per row. */
export function labelsFrom(where: string, array: NdArray, rows: number): Int32Array {
  const labels = asInt32(array.data);
  if (!labels) throw new UserError(`${where}: labels must be whole numbers`);
  if (labels.length !== rows)
    throw new UserError(`${where}: ${labels.length} labels for ${rows} rows; there must be one for each`);
  return labels;
}

/** Refuses labels that name no class. */
export function checkLabels(where: string, labels: Int32Array, classes: number | undefined): void {
  const limit = classes ?? Infinity;
  for (let row = 0; row < labels.length; row++)
    if (labels[row] < 0 || labels[row] >= limit)
      throw new UserError(
        `${where}: row ${row} has label ${labels[row]}; ${classes === undefined ? 'labels begin at 0' : `labels are 0 to ${classes - 1}`}`,
      );
}
