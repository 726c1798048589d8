import type { z } from 'zod';
import { VERSION, type Log } from '../../base/index.js';
import { agreeOnEach, heldByFirst, requireSharedFolder, type Communicator } from '../../distributed/index.js';
import { describeEngine, engineSettings } from '../../engine/index.js';
import { holdFolder } from '../../io/index.js';
import {
  DEFAULT_SETTINGS,
  measure,
  portionOf,
  refuseFolder,
  train,
  type Measurement,
  type Portion,
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
  communicator: Communicator;
}

/**
 * Trains a model into a run folder, which no other process may write into meanwhile: rank 0 holds it for all ranks. Starts
 * the engine.
 */
export async function trainModel(order: TrainingOrder, context: JobContext): Promise<TrainResult> {
  const { communicator } = context;
  const { out, resume = false, force = false, command } = order;
  const hold = (body: () => Promise<TrainResult>): Promise<TrainResult> =>
    holdFolder(out, {}, async () => {
      refuseFolder({ out, resume, force });
      return await body();
    });
  return await heldByFirst(communicator, hold, async () => {
    if (resume) await requireSharedFolder(communicator, out);
    const { task, ...run } = await prepare(order, context);
    return await train(task, { ...context, ...run, out, resume, force, command });
  });
}

/** Forecast of a training run, measured by one step that is discarded. */
export interface TrainingForecast extends RunConfig, Measurement {
  inputs: Record<string, string>;
}

/** `--dry-run`: everything resolved and checked, counted and measured; nothing written. */
export async function forecastTraining(order: TrainingOrder, context: JobContext): Promise<TrainingForecast> {
  const { task, config, inputs } = await prepare(order, context);
  return { ...config, inputs, ...(await measure(task, config.training, context.communicator)) };
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
  const { communicator, log } = context;
  const portion = portionOf(communicator, training);
  sayPortion(communicator, portion, training, log);
  const { task, network, networkSchema, inputs, info } = await trainable.prepare({
    ...context,
    options,
    settings: training,
    portion,
  });
  const precision = engineSettings().precision ?? 'f32';
  await agreeOnEach(communicator, {
    'the training': { version: VERSION, model, precision, training, network },
    ...Object.fromEntries(Object.entries(inputs).map(([role, digest]) => [`${role} (sha256)`, digest])),
  });
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

/** How the work is divided, where there are several to do it. */
function sayPortion(
  { size }: Communicator,
  { groups, sharers }: Portion,
  { batchSize, accumulate }: TrainingSettings,
  log: Log,
): void {
  if (size === 1) return;
  const batches = accumulate === 1 ? 'every batch' : `${accumulate / groups} of a step's ${accumulate} batches`;
  log.note(`each rank takes ${sharers > 1 ? `${batchSize / sharers} of the ${batchSize} rows of ` : ''}${batches}`);
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
