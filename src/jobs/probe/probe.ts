import type { Log } from '../../base/index.js';
import type { Communicator } from '../../distributed/index.js';
import {
  featureMatrix,
  probeParts,
  standardisation,
  type ProbeControl,
  type Feature,
  type LabelledLatents,
  type ProbeKind,
  type ProbeParts,
  type ProbeProtocol,
  type ProbeResult,
  type ProbeSettings,
  type ProbeTask,
} from '../../probe/index.js';
import { PROBES } from '../../probe/protocols/names.js';
import { wilson } from '../../statistics/index.js';
import { controlledFeatures, isProjected, matchedDims } from './controls.js';

/** A latent space, with its own test rows if there are any. */
export interface ProbeSource {
  latents: LabelledLatents;
  test?: LabelledLatents | undefined;
}

export interface ProbingSettings extends ProbeSettings {
  /** Ranks that hold a share of the rows each; default: one process has them all. */
  communicator?: Communicator | undefined;
  features: Feature[];
  probes: ProbeKind[];
  controls: ProbeControl[];
  /** Dimensions that projected controls keep; default: those of the narrowest source. */
  dims?: number | undefined;
  /** Fraction of rows for training where there is no separate test set. */
  trainShare: number;
}

/** Which number it is: the same columns lead every table of a probing. */
export interface ProbeName {
  source: string;
  feature: Feature;
  probe: ProbeKind;
  /** `C=0.01` or `k=20`. */
  setting: string;
  control: ProbeControl;
}

export interface ProbeRow extends ProbeName {
  dims: number;
  train_rows: number;
  test_rows: number;
  classes: number;
  accuracy: number;
  accuracy_low: number;
  accuracy_high: number;
  top5: number;
  calibration_error: number | null;
  converged: boolean | null;
}

/** A row and the counts behind it. */
export interface Probed {
  row: ProbeRow;
  /** [classes, classes]: test rows of class i that were taken for class j. */
  confusion: Int32Array;
  classNames: string[];
}

/** Probes every source: feature × control × probe. */
export async function probeSources(sources: ProbeSource[], settings: ProbingSettings, log: Log): Promise<Probed[]> {
  const passes = await passesOf(settings);
  const dims = new Map<Feature, number>();
  for (const { feature } of passes)
    dims.set(
      feature,
      matchedDims(
        sources.map(({ latents }) => latents),
        feature,
        settings,
        log,
      ),
    );
  const parts = sources.map(({ latents, test }) => probeParts(latents, test, settings));
  const probed: Probed[] = [];
  for (const [i, { latents }] of sources.entries())
    for (const { feature, probes } of passes)
      for (const control of settings.controls) {
        const what = { feature, control, dims: dims.get(feature)! };
        probed.push(...(await probeOne(latents, parts[i], what, probes, settings, log)));
      }
  return probed;
}

interface Pass {
  feature: Feature;
  probes: { name: ProbeKind; protocol: ProbeProtocol }[];
}

/** A pass per feature. A probe that is defined on one feature runs there once, whether that was requested or not. */
async function passesOf({ features, probes }: ProbingSettings): Promise<Pass[]> {
  const loaded: Pass['probes'] = [];
  for (const name of probes) loaded.push({ name, ...(await PROBES[name].load()) });
  const passes = features.map(feature => ({
    feature,
    probes: loaded.filter(({ protocol }) => (protocol.feature ?? feature) === feature),
  }));
  const others = new Set(
    loaded.flatMap(({ protocol }) => protocol.feature ?? []).filter(own => !features.includes(own)),
  );
  for (const feature of others)
    passes.push({ feature, probes: loaded.filter(({ protocol }) => protocol.feature === feature) });
  return passes.filter(pass => pass.probes.length > 0);
}

/** Loads the features of one feature × control, probes them, and frees them. */
async function probeOne(
  latents: LabelledLatents,
  parts: ProbeParts,
  { feature, control, dims }: { feature: Feature; control: ProbeControl; dims: number },
  probes: Pass['probes'],
  settings: ProbingSettings,
  log: Log,
): Promise<Probed[]> {
  log.note(`${latents.name}: probing ${feature} features${control === 'none' ? '' : `, control: ${control}`}`);
  const { seed, communicator } = settings;
  const { train, trainLabels, test, tokens } = await controlledFeatures(
    latents,
    parts,
    feature,
    control,
    { dims, seed },
    log,
  );
  const own = await standardisation(train, communicator);
  // One scale for all projected axes: each brought to unit variance, those that hold hardly any would count as much.
  const scale = isProjected(control) ? { ...own, scale: own.scale.fill(rootMeanSquare(own.scale)) } : own;
  const data = await featureMatrix(train, trainLabels, scale, communicator);
  const heldout = await featureMatrix(test, parts.testLabels, scale, communicator);
  const task = { data, heldout, train, test, scale, classes: parts.classes, tokens, settings, log };
  const probed: Probed[] = [];
  try {
    for (const { name: probe, protocol } of probes)
      for (const result of await protocol.run(task))
        probed.push({
          row: rowOf(task, { source: latents.name, feature, probe, setting: result.setting, control }, result),
          confusion: result.scored.confusion,
          classNames: parts.classNames,
        });
  } finally {
    data.dispose();
    heldout.dispose();
  }
  return probed;
}

const rootMeanSquare = (values: Float64Array): number =>
  Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);

function rowOf({ data, heldout, classes }: ProbeTask, name: ProbeName, { scored, converged }: ProbeResult): ProbeRow {
  return {
    ...name,
    dims: data.width,
    train_rows: data.rows,
    test_rows: heldout.rows,
    classes,
    accuracy: scored.accuracy,
    accuracy_low: scored.interval[0],
    accuracy_high: scored.interval[1],
    top5: scored.top5,
    calibration_error: scored.calibrationError,
    converged: converged ?? null,
  };
}

const nameOf = ({ source, feature, probe, setting, control }: ProbeRow): ProbeName => ({
  source,
  feature,
  probe,
  setting,
  control,
});

export interface ClassRow extends ProbeName {
  class: string;
  test_rows: number;
  accuracy: number;
  accuracy_low: number;
  accuracy_high: number;
}

/** The accuracy of every class that occurs among the test rows, with Wilson's interval. */
export function classRows({ row, confusion, classNames }: Probed): ClassRow[] {
  return occurring(confusion, row.classes).map(({ label, counts, total }) => {
    const [low, high] = wilson(counts[label], total);
    return {
      ...nameOf(row),
      class: classNames[label],
      test_rows: total,
      accuracy: counts[label] / total,
      accuracy_low: low,
      accuracy_high: high,
    };
  });
}

export interface ConfusionRow extends ProbeName {
  class: string;
  taken_for: string;
  test_rows: number;
  /** Accuracy on the rows of the class. */
  share: number;
}

/** Every cell of the confusion matrix whose class occurs among the test rows. */
export function confusionRows({ row, confusion, classNames }: Probed): ConfusionRow[] {
  return occurring(confusion, row.classes).flatMap(({ label, counts, total }) =>
    Array.from(counts, (count, taken) => ({
      ...nameOf(row),
      class: classNames[label],
      taken_for: classNames[taken],
      test_rows: count,
      share: count / total,
    })),
  );
}

function occurring(confusion: Int32Array, classes: number): { label: number; counts: Int32Array; total: number }[] {
  return Array.from({ length: classes }, (_, label) => {
    const counts = confusion.subarray(label * classes, (label + 1) * classes);
    return { label, counts, total: counts.reduce((sum, count) => sum + count, 0) };
  }).filter(({ total }) => total > 0);
}
