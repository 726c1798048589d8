import type { z } from 'zod';
import type { Log } from '../../base/index.js';
import type { Portion, TrainingSettings, TrainingTask } from '../../training/index.js';

/** What a trainable receives when a run starts. */
export interface TrainingRequest<O = Record<string, unknown>> {
  /** The model's own options, checked by its schema. */
  options: O;
  /** Everything about the loop, resolved. */
  settings: TrainingSettings;
  /** What of each step's batches is this rank's. */
  portion: Portion;
  log: Log;
  signal: AbortSignal;
}

/** A model ready to train. */
export interface PreparedTraining {
  task: TrainingTask;
  /**
   * What opening the trained model needs besides its weights (architecture, latents' shape, normalisation, classes),
   * as plain values: `network` in config.yaml. A run cannot be resumed with another network or other inputs.
   */
  network: Record<string, unknown>;
  /** Reads such a record of an earlier version: what it did not know yet gets a default. */
  networkSchema?: z.ZodType<Record<string, unknown>>;
  /** Digests of what the run reads, by role (`data`, `latents`, `tokenizer`, `teacher`): for run.json. */
  inputs: Record<string, string>;
  /** What else run.json should say of how it is trained. */
  info?: Record<string, unknown>;
}

/** One model, or family of models, of `maetok train <model>`. */
export interface Trainable<S extends z.ZodObject = z.ZodObject> {
  /** One line for `maetok train --help`. */
  describe: string;
  examples: [command: string, meaning: string][];
  /** Its own flags, in addition to those of every training (steps, lr, …). */
  options: S;
  /** Those that --help shows; absent: all of them. */
  main?: readonly (keyof z.input<S> & string)[];
  /**
   * Names of options that a resumed run may change because they do not touch the numbers: paths whose contents are
   * among `inputs`, what only evaluations read.
   */
  free?: string[];
  /** Training settings where they depart from `DEFAULT_SETTINGS`, given its options (a preset, say); flags win. */
  settings(options: z.output<S>): Partial<TrainingSettings>;
  /**
   * Opens data and builds the initial parameters. Imports its domain rooms here, so that --help starts no engine; the
   * engine has been started. Throws a UserError for anything that does not fit, before the first step.
   */
  prepare(request: TrainingRequest<z.output<S>>): Promise<PreparedTraining>;
}

/** The digests that there are. */
export const defined = (record: Record<string, string | undefined>): Record<string, string> =>
  Object.fromEntries(Object.entries(record).filter((entry): entry is [string, string] => entry[1] !== undefined));

/** Declares a trainable; the identity function that gives its functions their option types. */
export function defineTrainable<S extends z.ZodObject>(trainable: Trainable<S>): Trainable<S> {
  return trainable;
}
