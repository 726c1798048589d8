import { UserError, unlabelled } from '../base/index.js';
import { selectedRows, splitRows, type RowSource } from '../rows/index.js';
import { namedClasses, type Classes } from '../io/index.js';

/** Labelled latents: rows [tokens · channels]. */
export interface LabelledLatents {
  name: string;
  rows: RowSource;
  tokens: number;
  /** Names of the classes, where known. */
  classes?: readonly string[] | undefined;
}

/** Rows to train on and rows to test on. */
export interface ProbeParts {
  train: RowSource;
  trainLabels: Int32Array;
  test: RowSource;
  testLabels: Int32Array;
  classes: number;
  classNames: string[];
}

/** Classes are those that occur, counted from 0 in their order. `test` absent: rows are split by seed. @throws UserError where labels are missing, all the same, or do not fit. */
export function probeParts(
  latents: LabelledLatents,
  test: LabelledLatents | undefined,
  { trainShare, seed }: { trainShare: number; seed: number },
): ProbeParts {
  const { labels, classes: classNames } = namedClasses(labelsOf(latents));
  const classes = classNames.length;
  if (classes < 2) throw new UserError(`${latents.name}: all rows have the same label; there is nothing to probe for`);
  if (test) {
    const testLabels = labelsAmong(classNames, latents, test);
    if (test.rows.width !== latents.rows.width)
      throw new UserError(
        `${test.name}: its latents have ${test.rows.width} numbers, those of ${latents.name} have ${latents.rows.width}; test on latents of the same tokenizer`,
      );
    return { train: latents.rows, trainLabels: labels, test: test.rows, testLabels, classes, classNames };
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
    classNames,
  };
}

/** Test rows' classes, found among those of the training rows: by name where both have names, else by number. */
function labelsAmong(classNames: string[], latents: LabelledLatents, test: LabelledLatents): Int32Array {
  const own = labelsOf(test);
  const byName = own.classes !== undefined && latents.classes !== undefined;
  const known = byName ? classNames : namedClasses({ labels: labelsOf(latents).labels }).classes;
  const { labels, classes } = namedClasses(byName ? own : { labels: own.labels });
  const places = classes.map(name => known.indexOf(name));
  const unknown = places.indexOf(-1);
  if (unknown >= 0) throw new UserError(`${test.name}: label ${classes[unknown]} does not occur in ${latents.name}`);
  return labels.map(label => places[label]);
}

function labelsOf({ name, rows, classes }: LabelledLatents): Classes {
  if (!rows.labels) throw unlabelled(name, 'a probe');
  return { labels: rows.labels, ...(classes && classes.length > 0 && { classes: [...classes] }) };
}
