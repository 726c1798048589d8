import type { z } from 'zod';
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
  type RunRequest,
  type TrainingSettings,
  type TrainingTask,
  type TrainResult,
} from '../../training/index.js';
import { sourceCommit } from './source-commit.js';
import type { Trainable } from './trainable.js';
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
  const { task, ...run } = await prepare(order, context);
  return await train(task, { ...context, ...run, out, resume, force, command });
}

/** Forecast of a training run, measured by one step that is discarded. */
export interface TrainingForecast extends RunConfig, Measurement {
  inputs: Record<string, string>;
}

/** `--dry-run`: everything resolved and checked, counted and measured; nothing written. */
export async function forecastTraining(order: TrainingOrder, context: JobContext): Promise<TrainingForecast> {
  const { task, config, inputs } = await prepare(order, context);
  return { ...config, inputs, ...(await measure(task, config.training)) };
}

/** A task, and what its run folder says of it. Starts the engine. */
async function prepare(
  order: TrainingOrder,
  context: JobContext,
): Promise<{ task: TrainingTask } & Pick<RunRequest, 'config' | 'free' | 'completed' | 'inputs' | 'info'>> {
  const engine = await describeEngine();
  const { model } = order;
  const trainable = await TRAINABLES[model]();
  const options = trainable.options.parse(order.options);
  const training = resolveSettings(trainable, options, order.settings);
  const { task, network, networkSchema, inputs, info } = await trainable.prepare({
    options,
    settings: training,
    ...context,
  });
  const precision = engineSettings().precision ?? 'f32';
  return {
    task,
    config: { model, precision, options, network, training },
    free: trainable.free ?? [],
    completed: was => ({
      options: filledIn(was.options, trainable.options),
      network: filledIn(was.network, networkSchema),
    }),
    inputs,
    info: { commit: sourceCommit(), ...engine, ...info },
  };
}

type Plain = Record<string, unknown>;

/** A record with the schema's defaults for what it lacks; as it is where it does not fit. */
const filledIn = (record: Plain, schema?: z.ZodType<Plain>): Plain => schema?.safeParse(record).data ?? record;

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
