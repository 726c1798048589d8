import { UserError } from '../base/index.js';
import { selectedRows, splitRows, type RowSource } from '../io/index.js';

/** Labelled latents: rows [tokens · channels]. */
export interface LabelledLatents {
  name: string;
  rows: RowSource;
  tokens: number;
  /** Names of the classes, where known. */
  classes?: readonly string[];
}

/** Rows to train on and rows to test on. */
export interface ProbeParts {
  train: RowSource;
  trainLabels: Int32Array;
  test: RowSource;
  testLabels: Int32Array;
  classes: number;
}

/** `test` absent: rows are split by seed. @throws UserError where labels are missing, all the same, or do not fit. */
export function probeParts(
  latents: LabelledLatents,
  test: LabelledLatents | undefined,
  { trainShare, seed }: { trainShare: number; seed: number },
): ProbeParts {
  const labels = labelsOf(latents);
  const classes = 1 + labels.reduce((most, label) => Math.max(most, label), 0);
  if (classes < 2 || labels.every(label => label === labels[0]))
    throw new UserError(`${latents.name}: all rows have the same label, there is nothing to probe for`);
  if (test) {
    const testLabels = labelsOf(test);
    if (test.rows.width !== latents.rows.width)
      throw new UserError(
        `${test.name}: its latents have ${test.rows.width} numbers, those of ${latents.name} ${latents.rows.width}; test on latents of the same tokenizer`,
      );
    const unknown = testLabels.find(label => label >= classes);
    if (unknown !== undefined) throw new UserError(`${test.name}: label ${unknown} does not occur in ${latents.name}`);
    return { train: latents.rows, trainLabels: labels, test: test.rows, testLabels, classes };
  }
  if (latents.rows.rows < 10)
    throw new UserError(
      `${latents.name}: ${latents.rows.rows} rows are too few to split into train and test; 10 are needed`,
    );
  const split = splitRows(latents.rows.rows, trainShare, seed);
  const take = (rows: Int32Array): Int32Array => rows.map(row => labels[row]);
  return {
    train: selectedRows(latents.rows, split.train),
    trainLabels: take(split.train),
    test: selectedRows(latents.rows, split.heldout),
    testLabels: take(split.heldout),
    classes,
  };
}

function labelsOf({ name, rows }: LabelledLatents): Int32Array {
  if (!rows.labels)
    throw new UserError(
      `${name}: has no labels, which a probe needs; extract from a folder with a subfolder per class`,
    );
  return rows.labels;
}
