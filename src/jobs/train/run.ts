import type { Log } from '../../base/index.js';
import { describeEngine, engineSettings } from '../../engine/index.js';
import { holdFolder } from '../../io/index.js';
import {
  DEFAULT_SETTINGS,
  measure,
  refuseFolder,
  train,
  type Measurement,
  type RunConfig,
  type TrainingSettings,
  type TrainResult,
} from '../../training/index.js';
import { sourceCommit } from './source-commit.js';
import type { PreparedTraining, Trainable } from './trainable.js';
import { TRAINABLES } from './names.js';

/** A training as asked for. */
export interface TrainingOrder {
  /** A name among `TRAINABLES`. */
  model: string;
  /** The model's own options; what is missing has its schema's default. */
  options: Record<string, unknown>;
  /** Settings of the loop that were asked for; the rest are the model's, then the defaults. */
  settings: Partial<TrainingSettings>;
  out: string;
  resume?: boolean;
  force?: boolean;
  /** The command line, for the record. */
  command: string[];
}

export interface JobContext {
  log: Log;
  signal: AbortSignal;
}

/** Trains a model into a run folder, which no other process may write into meanwhile. Starts the engine. */
export async function trainModel(order: TrainingOrder, context: JobContext): Promise<TrainResult> {
  return await holdFolder(order.out, {}, () => trainHeld(order, context));
}

async function trainHeld(order: TrainingOrder, context: JobContext): Promise<TrainResult> {
  const { out, resume = false, force = false, command } = order;
  refuseFolder({ out, resume, force });
  const engine = await describeEngine();
  const { trainable, settings, config, prepared } = await prepare(order, context);
  return await train(prepared.task, settings, {
    ...context,
    out,
    resume,
    force,
    command,
    config,
    free: trainable.free ?? [],
    inputs: prepared.inputs,
    info: { commit: sourceCommit(), ...engine, ...prepared.info },
  });
}

/** Forecast of a training run, measured by one step that is discarded. */
export interface TrainingForecast extends RunConfig, Measurement {
  training: TrainingSettings;
  inputs: Record<string, string>;
}

/** `--dry-run`: everything resolved and checked, counted and measured; nothing written. */
export async function forecastTraining(order: TrainingOrder, context: JobContext): Promise<TrainingForecast> {
  await describeEngine();
  const { settings, config, prepared } = await prepare(order, context);
  return { ...config, training: settings, inputs: prepared.inputs, ...(await measure(prepared.task, settings)) };
}

interface Prepared {
  trainable: Trainable;
  settings: TrainingSettings;
  config: RunConfig;
  prepared: PreparedTraining;
}

async function prepare(order: TrainingOrder, context: JobContext): Promise<Prepared> {
  const trainable = await TRAINABLES[order.model]();
  const options = trainable.options.parse(order.options);
  const settings = resolveSettings(trainable, options, order.settings);
  const prepared = await trainable.prepare({ options, settings, ...context });
  const precision = engineSettings().precision ?? 'f32';
  return {
    trainable,
    settings,
    config: { model: order.model, precision, options, network: prepared.network },
    prepared,
  };
}

/** Defaults < the model's < those asked for. */
function resolveSettings(
  trainable: Trainable,
  options: Record<string, unknown>,
  asked: Partial<TrainingSettings>,
): TrainingSettings {
  const given = Object.fromEntries(
    (Object.entries(asked) as [string, unknown][]).filter(([, value]) => value !== undefined),
  );
  return { ...DEFAULT_SETTINGS, ...trainable.settings(options), ...given };
}
