import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT, messageOf, refuseOtherWork, shown, UserError, type Log } from '../../base/index.js';
import { byFirst, type Communicator } from '../../distributed/index.js';
import { mixtureArrays, mixtureFrom, type Fit, type FitState } from '../../gmm/index.js';
import {
  holdFolder,
  makeFolder,
  memoryBytes,
  readJsonRecord,
  readNpz,
  writeFileAtomic,
  writeNpz,
  type NdArray,
} from '../../io/index.js';

/** Where a sweep stores its progress, so that it can be stopped at any moment and resumed, by any number of ranks. */
export interface SweepState {
  /** A fit that was finished before. */
  finished(name: string): Promise<Fit | undefined>;
  finish(name: string, fit: Fit): Promise<void>;
  /** Where the fit that was running stood. */
  running(name: string): Promise<FitState | undefined>;
  /** Saves a running fit, but not more often than is worth it, unless `now`. */
  save(name: string, state: () => FitState, now?: boolean): Promise<void>;
}

/** Nothing is kept. */
export const noState: SweepState = {
  finished: () => Promise.resolve(undefined),
  finish: () => Promise.resolve(),
  running: () => Promise.resolve(undefined),
  save: () => Promise.resolve(),
};

/** Saving takes up to this share of the time. */
const SHARE = 0.05;

interface StateContext {
  log: Log;
  communicator: Communicator;
}

/** Hands `work` the state in a folder, which no other job may use meanwhile; without a folder, nothing is kept. */
export async function withState<T>(
  folder: string | undefined,
  identity: Record<string, unknown>,
  context: StateContext,
  work: (state?: SweepState) => Promise<T>,
): Promise<T> {
  if (folder === undefined) return await work();
  const { communicator } = context;
  return await holdFolder(folder, { option: '--state', communicator }, async () => {
    await byFirst(communicator, () => claim(folder, identity));
    return await work(openState(folder, context));
  });
}

/**
 * Begins a state folder or takes it up. `identity` says what the sweep is of: numbers from another one are not taken up.
 * @throws UserError where the folder belongs to another sweep.
 */
async function claim(folder: string, identity: Record<string, unknown>): Promise<void> {
  const card = join(folder, 'sweep.json');
  if (existsSync(card)) {
    const former = await readJsonRecord(card).catch(() => {
      throw new UserError(`${card}: is damaged; remove ${folder} or choose another --state`, EXIT.failed);
    });
    refuseOtherWork(folder, former, identity, {
      deep: true,
      say: ({ name, before, now }) =>
        `holds the state of another sweep ("${name}": ${shown(before)} there, "${name}": ${shown(now)} here); choose another --state or remove it`,
      exitCode: EXIT.failed,
    });
  } else {
    await makeFolder(folder);
    await writeFileAtomic(card, `${JSON.stringify(identity, null, 2)}\n`);
  }
}

/** Rank 0 alone reads and writes; what it has read is there on all ranks. */
function openState(folder: string, { log, communicator }: StateContext): SweepState {
  const done = (name: string): string => join(folder, `${name}.npz`);
  const running = join(folder, 'running.npz');
  let nextSave = 0;
  const first = communicator.rank === 0;
  /** What a file holds, as bytes and read; undefined where it is damaged: then that is fitted again. */
  const intact = async <T>(
    path: string,
    from: (arrays: Arrays) => T,
  ): Promise<{ bytes: Uint8Array; value: T } | undefined> => {
    if (!first || !existsSync(path)) return undefined;
    try {
      const bytes = await readFile(path);
      return { bytes, value: from(await readNpz(memoryBytes(path, bytes))) };
    } catch (error) {
      log.warn(`${path}: is damaged (${messageOf(error)}); its fit is repeated`);
      return undefined;
    }
  };
  const taken = async <T>(path: string, from: (arrays: Arrays) => T): Promise<T | undefined> => {
    const own = await intact(path, from);
    const [bytes] = await communicator.allGather(own?.bytes ?? new Uint8Array());
    if (own) return own.value;
    return bytes.length > 0 ? from(await readNpz(memoryBytes(path, bytes))) : undefined;
  };
  return {
    finished: name => taken(done(name), arrays => fitFrom(done(name), arrays, '')),
    async finish(name, fit) {
      if (!first) return;
      await writeNpz(done(name), fitArrays(fit, ''), { force: true });
      await rm(running, { force: true });
      nextSave = 0;
    },
    running: name => taken(running, arrays => (textOf(arrays.name) === name ? stateFrom(running, arrays) : undefined)),
    async save(name, state, now = false) {
      if (!first) return;
      const started = performance.now();
      if (started < nextSave && !now) return;
      await writeNpz(running, { name: bytes(name), ...stateArrays(state()) }, { force: true });
      const took = performance.now() - started;
      nextSave = performance.now() + took / SHARE;
    },
  };
}

const bytes = (text: string): NdArray => ({
  shape: [text.length],
  dtype: 'uint8',
  data: new Uint8Array(Buffer.from(text, 'latin1')),
});
const textOf = ({ data }: NdArray): string => Buffer.from(data as Uint8Array).toString('latin1');
const float64 = (data: Float64Array): NdArray => ({ shape: [data.length], dtype: 'float64', data });

type Arrays = Record<string, NdArray>;

function fitArrays({ mixture, lowerBounds, ...rest }: Fit, prefix: string): Arrays {
  const { converged, iterations, logLikelihood, restart, reseeded, falls, weightSum = NaN } = rest;
  return {
    ...prefixed(mixtureArrays(mixture), prefix),
    [`${prefix}lower_bounds`]: float64(Float64Array.from(lowerBounds)),
    [`${prefix}numbers`]: float64(
      Float64Array.of(Number(converged), iterations, logLikelihood, restart, reseeded, falls, weightSum),
    ),
  };
}

function fitFrom(path: string, arrays: Arrays, prefix: string): Fit {
  const [converged, iterations, logLikelihood, restart, reseeded, falls, weightSum] = arrays[`${prefix}numbers`]
    .data as Float64Array;
  return {
    mixture: mixtureFrom(path, withPrefix(arrays, prefix)),
    lowerBounds: Array.from(arrays[`${prefix}lower_bounds`].data as Float64Array),
    converged: converged === 1,
    iterations,
    logLikelihood,
    restart,
    reseeded,
    falls,
    ...(Number.isFinite(weightSum) && { weightSum }),
  };
}

const prefixed = (arrays: Arrays, prefix: string): Arrays =>
  Object.fromEntries(Object.entries(arrays).map(([name, array]) => [`${prefix}${name}`, array]));

const withPrefix = (arrays: Arrays, prefix: string): Arrays =>
  Object.fromEntries(
    Object.entries(arrays).flatMap(([name, array]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), array]] : [],
    ),
  );

const BEST = 'best_';

function stateArrays({ mixture, lowerBounds, restart, reseeded, falls, best }: FitState): Arrays {
  return {
    ...mixtureArrays(mixture),
    lower_bounds: float64(Float64Array.from(lowerBounds)),
    numbers: float64(Float64Array.of(restart, reseeded, falls)),
    ...(best && fitArrays(best, BEST)),
  };
}

function stateFrom(path: string, arrays: Arrays): FitState {
  const [restart, reseeded, falls] = arrays.numbers.data as Float64Array;
  return {
    mixture: mixtureFrom(path, arrays),
    lowerBounds: Array.from(arrays.lower_bounds.data as Float64Array),
    restart,
    reseeded,
    falls,
    ...(`${BEST}numbers` in arrays && { best: fitFrom(path, arrays, BEST) }),
  };
}
