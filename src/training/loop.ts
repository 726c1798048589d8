import { setImmediate as nextTurn } from 'node:timers/promises';
import { EXIT, messageOf, UserError, type Log } from '../base/index.js';
import { alone, byFirst, type Communicator } from '../distributed/index.js';
import { tf } from '../engine/index.js';
import { newestCheckpoint, newestWhole } from '../io/index.js';
import { BatchQueue } from './batches.js';
import { disposeCheckpoint, loadCheckpoint, saveCheckpoint, tidyCheckpoints, type LoopState } from './checkpoint.js';
import { Diverged, Ledger } from './ledger.js';
import { Logbook } from './logbook.js';
import { portionOf } from './portion.js';
import { RunFolder, type RunRequest, type TrainingOutcome } from './run.js';
import { learningRate } from './schedule.js';
import type { TrainingSettings } from './settings.js';
import type { TrainingTask } from './task.js';
import { Trainer } from './trainer.js';

export interface TrainOptions extends RunRequest {
  log: Log;
  /** Aborted on any rank: the state is saved and `train` throws with exit code 130. */
  signal: AbortSignal;
  /** The ranks that take part; all are given the same task and options. */
  communicator?: Communicator | undefined;
}

export interface TrainResult {
  /** Updates done. */
  step: number;
  out: string;
}

/**
 * Trains a task to `config.training.steps` updates in the run folder `out`. Batches and random numbers are functions of the
 * step alone and a checkpoint holds everything else, so a run that is killed at any instant and resumed writes the
 * same numbers as one that never stopped, and several ranks see what one process would. Rank 0 alone reads and writes the
 * folder. The task is disposed of, whatever happens.
 * @throws UserError before the first step for a folder or settings that do not fit; with exit code 130 when
 * interrupted, 1 when ten steps in a row were not finite.
 */
export async function train(task: TrainingTask, options: TrainOptions): Promise<TrainResult> {
  const { communicator = alone, signal } = options;
  const settings = options.config.training;
  let trainer: Trainer | undefined;
  try {
    refuseLatePhases(task, settings);
    trainer = new Trainer(task, settings, communicator, { signal });
    const { run, state } = await opened(trainer, { ...options, communicator });
    const whole: Work = { ...options, communicator, run, trainer, state, done: () => undefined };
    if (!run) return await work(task, whole);
    return await recorded(run, state.step, done => work(task, { ...whole, done }));
  } catch (error) {
    // All ranks come to this after the same step; none may end them before rank 0 has saved and recorded it.
    if (outcomeOf(error) !== 'failed') await communicator.barrier().catch(() => undefined);
    throw error;
  } finally {
    trainer?.dispose();
    await task.dispose?.();
  }
}

function refuseLatePhases({ phases = {} }: TrainingTask, { steps }: TrainingSettings): void {
  const late = Object.entries(phases).find(([, { start = 0 }]) => start >= steps);
  if (late)
    throw new UserError(
      `the ${late[0]} would start at step ${late[1].start}, after the last of ${steps} steps; let it start earlier, train longer, or leave it out`,
    );
}

/** Rank 0's run folder, and what it found there, for every rank. */
async function opened(
  trainer: Trainer,
  options: TrainOptions & { communicator: Communicator },
): Promise<Pick<Work, 'run' | 'state'>> {
  let run: RunFolder | undefined;
  const state = await byFirst(options.communicator, async () => {
    run = await RunFolder.open(options);
    const found = (options.resume ? await restore(trainer, options) : undefined) ?? { step: 0 };
    await run.begin(found.step);
    await tidyCheckpoints(options.out, found.step);
    return found;
  });
  await trainer.agree();
  return { run, state };
}

/** Restores the trainer from the newest intact checkpoint, if there is one. */
async function restore(trainer: Trainer, { out, log }: TrainOptions): Promise<LoopState | undefined> {
  return await newestWhole(out, log, async ({ checkpoint: folder }) => {
    const checkpoint = await loadCheckpoint(folder);
    trainer.restore(checkpoint.networks);
    disposeCheckpoint(checkpoint);
    return checkpoint.loop;
  });
}

/** Runs `body` and writes into run.json how it ended and where; `body` reports each step. */
async function recorded(
  run: RunFolder,
  start: number,
  body: (done: (step: number) => void) => Promise<TrainResult>,
): Promise<TrainResult> {
  let reached = start;
  try {
    const result = await body(step => (reached = step));
    await run.end(result.step, 'done');
    return result;
  } catch (error) {
    // The original error matters more than a failure to record it (e.g. on a full disk).
    await run.end(reached, outcomeOf(error)).catch(() => undefined);
    throw (error as NodeJS.ErrnoException).code === 'ENOSPC' ? await diskFull(run.folder, reached, error) : error;
  }
}

async function diskFull(out: string, step: number, cause: unknown): Promise<UserError> {
  const newest = await newestCheckpoint(out);
  const saved = newest ? `the checkpoint of step ${newest.step} is intact` : 'nothing was saved yet';
  return new UserError(
    `${out}: the disk is full at step ${step}; ${saved}; free some space and continue with --resume`,
    EXIT.failed,
    { cause },
  );
}

function outcomeOf(error: unknown): TrainingOutcome {
  if (error instanceof Diverged) return 'diverged';
  return error instanceof UserError && error.exitCode === EXIT.interrupted ? 'interrupted' : 'failed';
}

interface Work extends TrainOptions {
  communicator: Communicator;
  /** Of rank 0. */
  run: RunFolder | undefined;
  trainer: Trainer;
  state: Partial<LoopState> & { step: number };
  done: (step: number) => void;
}

async function work(task: TrainingTask, work: Work): Promise<TrainResult> {
  const { out, log, communicator, run, trainer, state, done } = work;
  const settings = work.config.training;
  const { steps, accumulate, logEvery, evaluateEvery, checkpointEvery, keep } = settings;
  if (state.step >= steps) log.reused(`${out}: has already done its ${steps} steps; a larger --steps would continue`);
  else if (state.step > 0) log.reused(`${out}: resumes after step ${state.step}`);
  const ledger = new Ledger(state, log);
  const logbook = run && (await Logbook.open(run, state.step));
  const batches = new BatchQueue(task, portionOf(communicator, settings).after, steps * accumulate);
  const progress = log.progress(`training ${task.name}`, steps, 'steps');
  const clock = stopwatch(state.step);
  try {
    for (let step = state.step; step < steps;) {
      await ledger.file(await trainer.step(step, index => batches.take(index)).catch(explainMemory(settings)));
      done(++step);
      progress.update(step, ledger.note);
      const isDue = (every: number): boolean => step === steps || step % every === 0;
      // Yields to signals and the readers of the next batches: TensorFlow computes on this thread.
      await nextTurn();
      const stops = trainer.stops && step < steps;
      if (isDue(logEvery) || isDue(evaluateEvery) || isDue(checkpointEvery) || stops) await ledger.settle();
      if (isDue(logEvery)) {
        const row = ledger.row(learningRate(settings, step - 1));
        await logbook?.metrics(step, row, { steps_per_second: clock(step) });
      }
      // What rank 0 does alone the others wait for in the next step.
      if (isDue(evaluateEvery) && logbook) await evaluate(task, trainer, logbook, { step, out });
      if ((isDue(checkpointEvery) || stops) && run) await save(trainer, keep, out, ledger.state(step));
      if (stops)
        throw new UserError(
          `interrupted; step ${step} is saved in ${out}, --resume continues from it`,
          EXIT.interrupted,
        );
    }
    return { step: Math.max(state.step, steps), out };
  } finally {
    progress.stop();
    await ledger.settle().catch(() => undefined);
    await batches.dispose();
  }
}

async function save(trainer: Trainer, keep: number, out: string, loop: LoopState): Promise<void> {
  const checkpoint = { loop, networks: trainer.state() };
  try {
    await saveCheckpoint(out, checkpoint, keep);
  } finally {
    disposeCheckpoint(checkpoint);
  }
}

async function evaluate(
  task: TrainingTask,
  trainer: Trainer,
  logbook: Logbook,
  { step, out }: { step: number; out: string },
): Promise<void> {
  if (!task.evaluate) return;
  const { params, ema } = trainer.read();
  try {
    const found = await task.evaluate({ step, params, ema, out });
    const tables = typeof found.tables === 'object' ? found.tables : { validation: [found as Record<string, number>] };
    await logbook.evaluation(step, tables);
  } finally {
    tf.dispose([params, ema] as never);
  }
}

/** Steps per second since it was last asked. */
function stopwatch(start: number): (step: number) => number {
  let last = { step: start, at: performance.now() };
  return step => {
    const now = { step, at: performance.now() };
    const rate = (1000 * (now.step - last.step)) / (now.at - last.at);
    last = now;
    return rate;
  };
}

/** A batch that does not fit is for the user to fix; each engine reports it in its own words. */
function explainMemory({ batchSize, accumulate }: TrainingSettings): (error: unknown) => never {
  return error => {
    if (!/\bOOM\b|out of memory|RESOURCE_EXHAUSTED|bad_alloc|memory access out of bounds/i.test(messageOf(error)))
      throw error;
    const half = Math.max(1, Math.floor(batchSize / 2));
    throw new UserError(
      `a batch of ${batchSize} does not fit into memory; --batch-size ${half} --accumulate ${2 * accumulate} takes the same step in half the memory`,
      EXIT.failed,
      { cause: error },
    );
  };
}
