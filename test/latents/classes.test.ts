import { beforeAll, describe, expect, test } from '@jest/globals';
import { RandomNumbers, silentLog } from '../../src/base/index.js';
import { startEngine } from '../../src/engine/index.js';
import { arrayRows } from '../../src/rows/index.js';
import { diagnoseLatents } from '../../src/jobs/diagnose/diagnose.js';
import { modelClasses } from '../../src/latents/classes.js';
import { classRows, probeSources } from '../../src/jobs/probe/probe.js';
import { probeParts } from '../../src/probe/parts.js';
import { labelPlan, unequalShares } from '../../src/jobs/sample/labels.js';

/** Latents [60, 4] whose class shifts one axis, labelled by `values` instead of 0, 1, 2. */
function latents(values: readonly number[], classes?: string[]) {
  const random = new RandomNumbers(3);
  const drawn = random.for('labels').integers(60, 3);
  const data = random.for('data').normals(240);
  drawn.forEach((label, row) => (data[4 * row + label] += 1));
  const labels = drawn.map(label => values[label]);
  return { name: 'z', rows: arrayRows('z', data, 60, 4, labels), tokens: 1, ...(classes && { classes }) };
}

describe('analyses of classes', () => {
  beforeAll(async () => {
    await startEngine();
  });

  const probed = async (source: ReturnType<typeof latents>) =>
    await probeSources(
      [{ latents: source }],
      {
        features: ['mean'],
        probes: ['logistic', 'knn', 'few-shot'],
        controls: ['none'],
        trainShare: 0.8,
        seed: 0,
        inversePenalties: [0.1, 1],
        neighbours: [5],
        votes: 'weighted',
        shots: [5],
      },
      silentLog,
    );

  test.each([[[1, 2, 3]], [[2, 7, 40]]])('labels %j give what 0, 1, 2 give, under their own names', async values => {
    const [plain, other] = [await probed(latents([0, 1, 2])), await probed(latents(values))];
    expect(plain.map(({ row }) => row.probe)).toEqual(['logistic', 'knn', 'few-shot']);
    expect(other.map(({ row }) => row)).toEqual(plain.map(({ row }) => row));
    expect(other.map(({ confusion }) => confusion)).toEqual(plain.map(({ confusion }) => confusion));
    expect(classRows(other[0]).map(row => row.class)).toEqual(values.map(String));
  });

  test('class separation does not depend on them either', async () => {
    const measured = async (values: number[]) =>
      await diagnoseLatents(
        { ...latents(values), statistics: () => Promise.reject(new Error('not needed')) },
        { groups: ['classes'], neighbours: 5, sample: 60, positions: 10, seed: 0 },
        silentLog,
      );
    expect(await measured([5, 6, 90])).toEqual(await measured([0, 1, 2]));
  });

  test('names stay the user’s', async () => {
    const [{ row, ...rest }] = await probed(latents([0, 2, 3], ['ape', 'bee', 'cat', 'dog']));
    expect(row.classes).toBe(3);
    expect(classRows({ row, ...rest }).map(({ class: name }) => name)).toEqual(['ape', 'cat', 'dog']);
  });

  test('test rows are found by name, or by number where one side has no names', () => {
    const options = { trainShare: 0.8, seed: 0 };
    const train = latents([0, 1, 2], ['ape', 'bee', 'cat']);
    const test = latents([2, 1, 0], ['cat', 'bee', 'ape']);
    const parts = probeParts(train, test, options);
    expect(parts.testLabels).toEqual(parts.trainLabels);
    const numbered = probeParts(latents([3, 5, 9]), latents([3, 5, 9]), options);
    expect(numbered.testLabels).toEqual(numbered.trainLabels);
    expect(() => probeParts(latents([3, 5, 9]), latents([3, 5, 8]), options)).toThrow(/label 8 does not occur in z/);
  });
});

describe('classes of a diffusion model', () => {
  const log = silentLog;
  const name = 'z';
  const labels = (...values: number[]) => Int32Array.from(values);

  test('labels that begin at 1 or have gaps are counted from 0 and keep their names', () => {
    expect(modelClasses({ name, labels: labels(1, 7, 3, 1) }, { log })).toEqual({
      labels: labels(0, 2, 1, 0),
      classes: 3,
      names: ['1', '3', '7'],
    });
    expect(modelClasses({ name, labels: labels(1, 0, 2) }, { log })).toEqual({ labels: labels(1, 0, 2), classes: 3 });
    expect(modelClasses({ name, labels: labels(2, 1), classes: ['0', '1', '2'] }, { log }).names).toEqual(['1', '2']);
    expect(modelClasses({ name }, { log })).toEqual({ classes: 1 });
  });

  test('a model of numbered classes takes numbers as they are, names that are numbers too', () => {
    const known = { classes: 1000, log };
    expect(modelClasses({ name, labels: labels(1, 999) }, known).labels).toEqual(labels(1, 999));
    expect(modelClasses({ name, labels: labels(0, 1), classes: ['207', '388'] }, known).labels).toEqual(
      labels(207, 388),
    );
    expect(() => modelClasses({ name, labels: labels(1000) }, known)).toThrow(
      /class 1000 is not one of the model's 1000/,
    );
  });

  test('classes are found among the names that the model has learned', () => {
    const known = { classes: 3, classNames: ['ape', 'bee', 'cat'], log };
    expect(modelClasses({ name, labels: labels(0, 1), classes: ['bee', 'cat'] }, known).labels).toEqual(labels(1, 2));
    expect(() => modelClasses({ name, labels: labels(0), classes: ['dog'] }, known)).toThrow(
      /class dog is not one of the model's 3 \(ape, bee, cat\)/,
    );
    const numbered = { classes: 3, classNames: ['1', '3', '7'], log };
    expect(modelClasses({ name, labels: labels(3, 7) }, numbered).labels).toEqual(labels(1, 2));
    expect(() => modelClasses({ name, labels: labels(0) }, numbered)).toThrow(/class 0 is not one/);
  });

  test('equal shares: every class once a round, in another order by seed, whatever the number of samples', () => {
    const CLASSES = 7;
    const labelsOf = (seed: number): number[] =>
      Array.from({ length: 3 * CLASSES }, (_, k) => labelPlan(['equal'], CLASSES, undefined, seed)(k));
    const [plan, other] = [0, 1].map(labelsOf);
    const rounds = [0, 1, 2].map(round => plan.slice(round * CLASSES, (round + 1) * CLASSES));
    for (const round of rounds) expect(round.slice().sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(rounds[1]).not.toEqual(rounds[0]);
    expect(other).not.toEqual(plan);
    expect(labelsOf(0)).toEqual(plan);
  });

  test('what is no multiple of the classes is said', () => {
    expect(unequalShares(['balanced'], 4, 10)).toMatch(
      /10 is no multiple of 4 classes; the first 2 have 3 samples, the others 2/,
    );
    expect(unequalShares(['equal'], 4, 10)).toMatch(/drawn by seed, 2 have 3 samples/);
    for (const [words, samples] of [
      [['balanced'], 8],
      [['balanced'], 3],
      [['random'], 10],
      [['0', '1'], 10],
    ] as const)
      expect(unequalShares([...words], 4, samples)).toBeUndefined();
  });

  test('a sample is asked for by name, and a number that is no name is no place among numbers', () => {
    const plan = labelPlan(['7', '1'], 3, ['1', '3', '7'], 0);
    expect([plan(0), plan(1)]).toEqual([2, 0]);
    expect(() => labelPlan(['0'], 3, ['1', '3', '7'], 0)).toThrow(/--labels 0: no class of this name \(1, 3, 7\)/);
    expect(labelPlan(['1'], 3, ['ape', 'bee', 'cat'], 0)(0)).toBe(1);
  });
});
