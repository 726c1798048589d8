import { existsSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { foldersBelow, isRecord, tryLock, type FoundFolder } from '../../base/index.js';
import { DIFFUSION_MODELS } from '../../diffusion/names.js';
import { LOCK, newestCheckpoint, readCheckpointState, readJsonRecord, readRunConfig } from '../../io/index.js';
import { LATENTS_JSON } from '../../latents/names.js';
import type { RunState } from './names.js';

export interface FoundRun {
  folder: string;
  kind: 'tokenizer' | 'diffusion' | 'latents' | 'samples' | 'study';
  /** Trained model; of latents and samples, what made them. */
  model: string;
  state: RunState;
  /** Updates, images or steps of a study that are done, and of how many. */
  done: number;
  total: number | null;
  /** The newest training loss. */
  loss: number | null;
  /** Seconds since something was last written. */
  age: number;
  /** What comes next where something does. */
  next: string;
}

/** What a folder says of itself, its lock and its age aside. */
type Described = Omit<FoundRun, 'folder' | 'age'>;
type Describe = (folder: FoundFolder) => Promise<Described>;
/** Reads where a study stands; the room above this one knows how. */
export type ReadStudy = (folder: string) => Promise<{ done: number; total: number | null; next: string }>;

interface Kind {
  kind: FoundRun['kind'];
  /** Files by any of which a folder is known. */
  marks: RegExp;
  describe: Describe;
}

const UNFINISHED = /^unfinished_rank\d+\.json$/;

const kindsOf = (readStudy: ReadStudy): Kind[] => [
  { kind: 'study', marks: /^steps\.json$/, describe: ({ path }) => studyOf(path, readStudy) },
  { kind: 'tokenizer', marks: /^run\.json$/, describe: ({ path }) => trainingOf(path) },
  { kind: 'latents', marks: /^(latents\.json|unfinished_rank\d+\.json)$/, describe: latentsOf },
  { kind: 'samples', marks: /^samples\.json$/, describe: samplesOf },
];

const DEPTH = 12;

/** Work found in a folder and below it. Weights are not read: whether they are intact is seen when they are opened. */
export async function listRuns(root: string, readStudy: ReadStudy): Promise<FoundRun[]> {
  const kinds = kindsOf(readStudy);
  const kindOf = (names: ReadonlySet<string>): Kind | undefined =>
    kinds.find(({ marks }) => [...names].some(name => marks.test(name)));
  const isLeaf = (names: ReadonlySet<string>): boolean => ![undefined, 'study'].includes(kindOf(names)?.kind);
  const found: FoundRun[] = [];
  for (const folder of foldersBelow(root, { depth: DEPTH, isLeaf })) {
    const kind = kindOf(folder.names);
    if (kind) found.push(await runOf(folder, kind));
  }
  return found;
}

async function runOf(folder: FoundFolder, { kind, describe }: Kind): Promise<FoundRun> {
  const damaged: Described = { kind, model: '', state: 'damaged', done: 0, total: null, loss: null, next: '' };
  const described = await describe(folder).catch(() => damaged);
  const running = folder.names.has(LOCK) && (await isHeld(join(folder.path, LOCK)));
  return {
    folder: folder.path,
    ...described,
    ...(running && { state: 'running', next: '' }),
    age: ageOf(folder),
  };
}

/** Whether a process holds the lock; one that was left behind by a killed process goes. */
async function isHeld(path: string): Promise<boolean> {
  try {
    const lock = await tryLock(path);
    if ('heldBy' in lock) return true;
    lock.release();
    return false;
  } catch {
    // Nothing may be written there, so nobody is at work.
    return false;
  }
}

/** Seconds since the folder, or a file in it, was last changed. */
function ageOf({ path, names }: FoundFolder): number {
  const times = [path, ...[...names].filter(name => name !== LOCK).map(name => join(path, name))].map(
    at => statSync(at, { throwIfNoEntry: false })?.mtimeMs ?? 0,
  );
  return Math.max(0, Math.round((Date.now() - Math.max(...times)) / 1000));
}

async function studyOf(folder: string, readStudy: ReadStudy): Promise<Described> {
  const { done, total, next } = await readStudy(folder);
  // Studies of older versions do not say how many steps they have; the report is written after the last.
  const isDone = total === null ? existsSync(join(folder, 'report.html')) : done >= total;
  const state = isDone ? 'finished' : 'interrupted';
  return { kind: 'study', model: '', state, done, total, loss: null, next };
}

async function trainingOf(folder: string): Promise<Described> {
  const { config, info } = await readRunConfig(folder);
  const model = String(config.model);
  const newest = await newestCheckpoint(folder);
  if (newest) await readCheckpointState(newest.checkpoint);
  const metrics = await lastRow(join(folder, 'metrics.csv'));
  const { steps } = (isRecord(config.training) ? config.training : {}) as { steps?: number };
  const done = newest?.step ?? 0;
  const session: unknown = Array.isArray(info.sessions) ? info.sessions.at(-1) : undefined;
  const outcome = isRecord(session) ? session.outcome : undefined;
  const isFailed = outcome === 'failed' || outcome === 'diverged';
  const isDone = steps !== undefined && done >= steps;
  return {
    kind: (DIFFUSION_MODELS as readonly string[]).includes(model) ? 'diffusion' : 'tokenizer',
    model,
    state: isDone ? 'finished' : isFailed ? 'failed' : 'interrupted',
    done,
    total: steps ?? null,
    loss: metrics?.loss === undefined ? null : Number(metrics.loss),
    next: isDone ? '' : `maetok train ${model} --out ${folder} --resume`,
  };
}

/** The last whole row of a CSV without quotes, as `maetok train` writes it. */
async function lastRow(path: string): Promise<Record<string, string> | undefined> {
  if (!existsSync(path)) return undefined;
  const lines = (await readFile(path, 'utf8')).split('\n').slice(0, -1);
  if (lines.length < 2) return undefined;
  const cells = lines.at(-1)!.split(',');
  return Object.fromEntries(lines[0].split(',').map((name, i) => [name, cells[i]]));
}

async function latentsOf({ path, names }: FoundFolder): Promise<Described> {
  const unfinished = [...names].filter(name => UNFINISHED.test(name));
  if (names.has(LATENTS_JSON) && unfinished.length === 0) {
    const { count, meta } = await readJsonRecord(join(path, LATENTS_JSON));
    const tokenizer = isRecord(meta) && isRecord(meta.tokenizer) ? meta.tokenizer : {};
    const model = typeof tokenizer.name === 'string' ? tokenizer.name : '';
    return {
      kind: 'latents',
      model,
      state: 'finished',
      done: Number(count),
      total: Number(count),
      loss: null,
      next: '',
    };
  }
  let done = 0;
  for (const name of unfinished) {
    const { shards } = (await readJsonRecord(join(path, name))) as { shards: { rows: number }[] };
    done += shards.reduce((sum, { rows }) => sum + rows, 0);
  }
  const next = 'the same command with --resume';
  return { kind: 'latents', model: '', state: 'interrupted', done, total: null, loss: null, next };
}

/** Samples are complete once what is made of all of them is there: their grid or samples.npz. */
async function samplesOf({ path, names }: FoundFolder): Promise<Described> {
  const { model } = await readJsonRecord(join(path, 'samples.json'));
  const done = [...names].filter(name => /^\d{6,}\.png$/.test(name)).length;
  const isDone = names.has('samples.npz') || existsSync(`${path}-grid.png`);
  return {
    kind: 'samples',
    model: String(model),
    state: isDone ? 'finished' : 'interrupted',
    done,
    total: isDone ? done : null,
    loss: null,
    next: isDone ? '' : 'the same command with --resume',
  };
}
