import { UserError } from '../base/index.js';

/** Refuses labels that name no class. */
export function checkLabels(where: string, labels: Int32Array, classes: number | undefined): void {
  if (classes === undefined) return;
  const row = labels.findIndex(label => label >= classes);
  if (row >= 0) throw new UserError(`${where}: row ${row} has label ${labels[row]}; labels are 0 to ${classes - 1}`);
}
