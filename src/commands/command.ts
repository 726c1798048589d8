import type { z } from 'zod';
import type { Log } from '../base/index.js';
import type { Communicator } from '../distributed/index.js';

/** What a command receives in addition to its options. Only the CLI room knows the process; commands know this. */
export interface Context {
  /** Results: CSV rows. Everything else goes to `log`. */
  stdout: { write(text: string): unknown; isTTY?: boolean; columns?: number };
  log: Log;
  /**
   * The processes that a launcher such as mpirun has started for this command. Results, notes and progress of all but rank 0
   * go nowhere; files are for the command to leave to rank 0.
   */
  communicator: Communicator;
  /** Aborted by Ctrl-C where the command saves: long work saves its state and throws `interrupted()`. */
  signal: AbortSignal;
  /** Standard input, for commands that read a table from a pipe. */
  stdin: NodeJS.ReadableStream;
  /** The command line as typed, for run.json and protocol cards. */
  argv: string[];
  /**
   * Runs another command line as part of this one: same signal, and the same streams and log unless it is given its own.
   * Throws what that command throws.
   */
  run(argv: string[], own?: Partial<Pick<Context, 'stdout' | 'log'>>): Promise<void>;
  /** Whether several ranks can share the work of a command line. */
  takesRanks: (argv: string[]) => Promise<boolean>;
}

export interface Inputs {
  /** Name in the usage line. */
  name: string;
  describe: string;
  /** How many there may be; default: exactly one. */
  min?: number;
  max?: number;
  /** The words that it may be, for completion, where these are few. */
  choices?: readonly string[];
}

/**
 * One subcommand. `options` declares every flag once: its type, default, meaning (`.describe`); parser and help
 * are assembled from it and every value passes through it, so `run` gets checked values only.
 */
export interface Command<S extends z.ZodObject = z.ZodObject> {
  name: string;
  describe: string;
  /** Command lines and what they do, shown by --help. */
  examples: [command: string, meaning: string][];
  /** Positional inputs, if the command takes any. */
  inputs?: Inputs;
  options: S;
  /** The options that --help shows, in its order; --help-all shows the others too. Absent: all are shown. */
  main?: readonly (keyof z.input<S> & string)[];
  /** More specific commands by the word after the name, each with its own options: `train maetok`. */
  variants?: Record<string, () => Promise<Command>>;
  /** Values that override the defaults but not the typed flags, and depend on those: e.g. those of a run to resume. */
  remembered?(typed: Record<string, unknown>): Promise<Record<string, unknown>>;
  /**
   * Whether there is something to save on a stop with these options. Only then does Ctrl-C abort the context's signal; otherwise it
   * ends the process at once, whatever is being computed.
   */
  saves?(options: z.output<S>): boolean;
  /** Whether several ranks share the work with these options. Absent: one process does it all, and more are refused. */
  ranks?(options: z.output<S>): boolean;
  /** Rows to stdout or files; notes to the log. Imports its domain rooms lazily, so that --help starts no engine. */
  run(options: z.output<S>, inputs: string[], context: Context): Promise<void>;
}

/** Declares a command; the identity function that gives `run` its option types. */
export function defineCommand<S extends z.ZodObject>(command: Command<S>): Command<S> {
  return command;
}
