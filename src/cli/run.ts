import { EXIT, faultOf, messageOf, UserError, VERSION, type Log } from '../base/index.js';
import { withHint, type Command } from '../commands/index.js';
import { alone, type Communicator } from '../distributed/index.js';
import type { Precision } from '../engine/names.js';
import { findCommand } from './find.js';
import { commandHelp, helpWidth, overviewHelp } from './help.js';
import { eventLog } from './events.js';
import { makeLog, type CliLog, type TextSink } from './log.js';
import { parseWords, questionOf, type Question } from './parser.js';
import { describeRanks, letFirstTell } from './ranks.js';
import { requeueJob, requireJob, WARNING } from './requeue.js';
import { resolveOptions, type Resolved } from './resolve.js';
import { UsageError } from './usage-error.js';

export interface CliStreams {
  stdout: TextSink;
  stderr: TextSink;
  stdin: NodeJS.ReadableStream;
  signal: AbortSignal;
  /** The processes of this job; absent: this one. Only rank 0 writes, but for a fault that others have alone. */
  communicator?: Communicator;
  /** The first signal heard since. */
  heard?: () => NodeJS.Signals | undefined;
  /** From now on Ctrl-C and similar signals abort `signal` instead of ending the process. */
  heedSignals?: () => void;
}

/** Runs one command line and returns its exit code; never throws, never ends the process. */
export async function runCli(argv: string[], streams: CliStreams): Promise<number> {
  const { communicator = alone, stderr } = streams;
  const { rank } = communicator;
  if (rank > 0) streams = { ...streams, stdout: NOWHERE, stderr: NOWHERE };
  let verbose = argv.includes('--verbose');
  let log = logFor(streams, { json: argv.includes('--json') });
  const end = (code: number): number => {
    log.end(code);
    return code;
  };
  try {
    if (await answered(argv, streams.stdout)) return EXIT.done;
    const prepared = await prepare(argv);
    verbose = prepared.options.verbose === true;
    log = logFor(streams, prepared.options);
    requireRanks(prepared, communicator);
    requireJob(prepared.options, process.env);
    if (communicator.size > 1) log.note(describeRanks(communicator));
    await runPrepared(prepared, streams, log);
    return end(EXIT.done);
  } catch (error) {
    const message = describe(error, verbose);
    const code = error instanceof UserError ? error.exitCode : EXIT.failed;
    // An interruption is all ranks', and rank 0 tells it.
    if (rank > 0 && code !== EXIT.interrupted) {
      await letFirstTell();
      // The launcher, which rank 0 has told to end all, says so by a signal first.
      if (streams.heard?.() === undefined) stderr.write(`rank ${rank}: ${message}\n`);
    }
    log.error(message);
    return end(code);
  }
}

const NOWHERE: TextSink = { write: () => true };

/** @throws UsageError where several ranks would each do the whole work. */
function requireRanks({ command, options }: Prepared, { size }: Communicator): void {
  if (size > 1 && command.ranks?.(options) !== true)
    throw new UsageError(
      `${command.name} does not divide its work among ${size} ranks with these options; start one process`,
    );
}

const logFor = ({ stderr }: CliStreams, { json, quiet }: Record<string, unknown>): CliLog =>
  (json === true ? eventLog : makeLog)(stderr, { quiet: quiet === true });

/** Prints what --help, --help-all or --version ask for; false where the command line asks for none of them. */
async function answered(argv: string[], stdout: TextSink): Promise<boolean> {
  const question = questionOf(argv);
  if (question !== undefined) stdout.write(`${await answer(question, argv, stdout.columns)}\n`);
  return question !== undefined;
}

/** What --help, --help-all or --version prints, in a terminal of so many columns. */
async function answer(question: Question, argv: string[], columns: number | undefined): Promise<string> {
  if (question === 'version') return VERSION;
  const command = await findCommand(argv);
  const width = helpWidth(columns);
  return command ? commandHelp(command, { all: question === 'help-all', width }) : await overviewHelp(width);
}

interface Prepared extends Resolved {
  command: Command;
  argv: string[];
}

async function prepare(argv: string[]): Promise<Prepared> {
  const command = await findCommand(argv);
  if (!command) throw new UsageError('no command given; `maetok --help` lists them');
  return { command, argv, ...(await resolveOptions(command, await parseWords(command, argv))) };
}

async function runPrepared({ command, argv, options, inputs }: Prepared, streams: CliStreams, log: Log): Promise<void> {
  await shareSettings(options, log);
  if (command.saves?.(options)) streams.heedSignals?.();
  const { stdout, signal, stdin } = streams;
  try {
    await command.run(options, inputs, {
      stdout,
      log,
      communicator: streams.communicator ?? alone,
      signal,
      stdin,
      argv,
      run: async (words, own = {}) => {
        const to = { ...streams, ...own };
        if (!(await answered(words, to.stdout))) await runPrepared(await prepare(words), to, own.log ?? log);
      },
      takesRanks: async words => {
        const { command: other, options: its } = await prepare(words);
        return other.ranks?.(its) === true;
      },
    });
  } catch (error) {
    const warned = error instanceof UserError && error.exitCode === EXIT.interrupted && streams.heard?.() === WARNING;
    if (warned && options.requeue === true && streams.communicator?.rank === 0) await requeueJob(process.env, log);
    throw withHint(error);
  }
}

/** Applies the options that every command shares. The engine itself starts only when a command asks for it. */
async function shareSettings(options: Record<string, unknown>, log: Log): Promise<void> {
  const { configureEngine } = await import('../engine/options.js');
  configureEngine({
    engine: options.engine as string | undefined,
    precision: options.precision as Precision | undefined,
    verbose: options.verbose === true,
    warn: message => log.warn(message),
  });
}

/** The one line for whatever was thrown; with its trace where `verbose`. */
export function describe(error: unknown, verbose: boolean): string {
  const trace = verbose && error instanceof Error && error.stack ? `\n${error.stack}` : '';
  if (error instanceof UserError) return `maetok: ${error.message}${trace}`;
  const system = systemFailure(error);
  if (system !== undefined) return `maetok: ${system}${trace}`;
  return `maetok ${VERSION}: unexpected error: ${messageOf(error)}${trace || ' (this is a bug; --verbose shows where, please report it)'}`;
}

/** File-system failures that reach the top, as one plain line. */
function systemFailure(error: unknown): string | undefined {
  const { code, path, dest } = error as NodeJS.ErrnoException & { dest?: string };
  const fault = faultOf(error);
  if (fault === undefined) return undefined;
  const whole = ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(code!)
    ? '; no file was left half-written under its final name'
    : '';
  return `${dest ?? path ?? 'output'}: ${fault}${whole}`;
}
