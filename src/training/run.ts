import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { changes, EXIT, shown, UserError, VERSION, type Change } from '../base/index.js';
import { alone, type Communicator } from '../distributed/index.js';
import { isRun, makeFolder, readRunConfig, RUN, writeFileAtomic } from '../io/index.js';
import { settingsThatDiffer, type TrainingSettings } from './settings.js';

/** What config.yaml holds. */
export interface RunConfig {
  model: string;
  precision: string;
  /** The model's own options, resolved. */
  options: Record<string, unknown>;
  /** What opening the trained model needs besides its weights. */
  network: Record<string, unknown>;
  /** The settings of the loop. */
  training: TrainingSettings;
}

export type RunRecorded = Pick<RunConfig, 'options' | 'network'>;

/** Where and how a training runs. */
export interface RunRequest {
  out: string;
  config: RunConfig;
  /** Names of options that a resumed run may change. */
  free?: string[];
  /** What an earlier version recorded, with the values that stand for what it did not know. */
  completed?: (was: RunRecorded) => RunRecorded;
  /** Digests of what the run reads, by role. */
  inputs: Record<string, string>;
  /** Further entries of run.json: engine, device, git commit, … */
  info: Record<string, unknown>;
  /** The command line, for the record. */
  command: string[];
  resume: boolean;
  force: boolean;
  /** Who works on it, for the record. */
  communicator?: Communicator | undefined;
}

interface Session {
  command: string[];
  ranks: number;
  hosts: number;
  started: string;
  from: number;
  ended?: string;
  to?: number;
  outcome?: TrainingOutcome;
}

export type TrainingOutcome = 'done' | 'interrupted' | 'diverged' | 'failed';

type RunRecord = Record<string, unknown> & { sessions: Session[]; tables: string[] };

/** An open run folder: once it has begun, config.yaml and run.json are written; the rest is the loop's. */
export class RunFolder {
  private constructor(
    readonly folder: string,
    private readonly content: string,
    private readonly record: RunRecord,
    private readonly session: Pick<Session, 'command' | 'ranks' | 'hosts'>,
  ) {}

  /** Starts a run or opens one to resume. @throws UserError if the folder holds something that this run must not touch. */
  static async open(request: RunRequest): Promise<RunFolder> {
    const { out, resume, config, inputs, info, command, communicator = alone } = request;
    const { size: ranks, hosts } = communicator;
    refuseFolder(request);
    const former = isRun(out) ? await readRunConfig(out) : undefined;
    if (resume) refuseDifferences(request, former!);
    else await removeRun(out, former?.info.tables);
    const record = {
      version: VERSION,
      ...info,
      seed: config.training.seed,
      inputs,
      tables: resume ? listIn<string>(former!.info.tables) : [],
      sessions: resume ? listIn<Session>(former!.info.sessions) : [],
    };
    return new RunFolder(out, stringify(config), record, { command, ranks, hosts });
  }

  /** Begins a session after `step` updates. */
  async begin(step: number): Promise<void> {
    await makeFolder(this.folder);
    this.record.sessions.push({ ...this.session, started: new Date().toISOString(), from: step });
    await writeFileAtomic(this.path(RUN.config), this.content, { force: true });
    await this.save();
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Names of the tables that the run writes. */
  get tables(): readonly string[] {
    return this.record.tables;
  }

  /** Known before its first row, so that a resumed run finds every table that it has to cut. */
  async addTable(name: string): Promise<void> {
    if (this.record.tables.includes(name)) return;
    this.record.tables.push(name);
    await this.save();
  }

  async end(step: number, outcome: TrainingOutcome): Promise<void> {
    Object.assign(this.record.sessions.at(-1)!, { ended: new Date().toISOString(), to: step, outcome });
    await this.save();
  }

  private async save(): Promise<void> {
    await writeFileAtomic(this.path(RUN.info), `${JSON.stringify(this.record, null, 2)}\n`, { force: true });
  }
}

const listIn = <T>(value: unknown): T[] => (Array.isArray(value) ? (value as T[]) : []);

/** Throws, before any work, if a run must not be started or resumed in a folder. */
export function refuseFolder({ out, resume, force }: Pick<RunRequest, 'out' | 'resume' | 'force'>): void {
  if (resume && !isRun(out)) throw new UserError(`${out}: holds no run to resume; leave out --resume to start one`);
  if (resume || force) return;
  if (isRun(out))
    throw new UserError(`${out}: holds another run; --resume continues it, --force replaces it`, EXIT.failed);
  const taken = Object.values(RUN).find(name => existsSync(join(out, name)));
  if (taken !== undefined)
    throw new UserError(
      `${out}: already holds a ${taken}; choose another --out, or replace it with --force`,
      EXIT.failed,
    );
}

/** Removes what a run writes, and nothing else. */
async function removeRun(out: string, tables: unknown): Promise<void> {
  const files = await readdir(out).catch(() => []);
  const csv = Array.isArray(tables) ? tables.map(name => `${name}.csv`) : [];
  const own = new Set<string>([...Object.values(RUN), ...csv]);
  for (const name of files)
    if (own.has(name) || name.startsWith('events.out.tfevents.'))
      await rm(join(out, name), { recursive: true, force: true });
}

/** One line that names every difference which would make the numbers another run's. */
function refuseDifferences(
  { out, config, inputs, free = [], completed = was => was }: RunRequest,
  before: { config: Record<string, unknown>; info: Record<string, unknown> },
): void {
  const was = before.config as Partial<RunConfig>;
  const { options, network } = completed({ options: was.options ?? {}, network: was.network ?? {} });
  const { training } = config;
  const pairs: [string, object, object][] = [
    ['', pick(was, ['model', 'precision']), pick(config, ['model', 'precision'])],
    ['', without(options, free), without(config.options, free)],
    ['network.', network, config.network],
    ['input ', before.info.inputs ?? {}, inputs],
  ];
  const differences = [
    ...settingsThatDiffer(was.training ?? {}, training).map(change => differs('', change)),
    ...pairs.flatMap(([prefix, a, b]) => changes(a, b, { deep: true }).map(change => differs(prefix, change))),
  ];
  if (differences.length > 0)
    throw new UserError(
      `${out}: cannot continue with other settings: ${differences.join(', ')}; give the former ones, or start a run in another --out`,
    );
}

const differs = (prefix: string, { name, before, now }: Change): string =>
  `${prefix}${name} was ${shown(before)}, now ${shown(now)}`;

function pick(record: object, names: string[]): object {
  return Object.fromEntries(Object.entries(record).filter(([name]) => names.includes(name)));
}

function without(record: object, names: string[]): object {
  return Object.fromEntries(Object.entries(record).filter(([name]) => !names.includes(name)));
}
