import { EXIT, messageOf, UserError, type FailureCode } from '../base/index.js';
import type { Communicator } from './communicator.js';
import { gatherValues, valueOfFirst } from './exchange.js';

/** What came of some work: its value, or why there is none. */
type Outcome<T> = { value: T } | Refusal;
interface Refusal {
  message: string;
  exitCode: FailureCode;
}

const refusalOf = (error: unknown): Refusal => ({
  message: messageOf(error),
  exitCode: error instanceof UserError ? error.exitCode : EXIT.failed,
});

const errorOf = ({ message, exitCode }: Refusal): UserError => new UserError(message, exitCode);

/**
 * Runs `work` on rank 0 alone: what only one process may do, such as clearing a folder. Every rank gets its value, which
 * JSON must be able to hold, or throws its error.
 */
export async function byFirst<T>(communicator: Communicator, work: () => Promise<T> | T): Promise<T> {
  if (communicator.rank > 0) return valueIn(await valueOfFirst<Outcome<T>>(communicator, undefined as never));
  let value: T;
  try {
    value = await work();
  } catch (error) {
    await valueOfFirst(communicator, refusalOf(error));
    throw error;
  }
  await valueOfFirst(communicator, { value });
  return value;
}

/** @throws UserError where there is no value. */
export function valueIn<T>(outcome: Outcome<T>): T {
  if ('message' in outcome) throw errorOf(outcome);
  return outcome.value;
}

/**
 * Runs `body` on every rank while rank 0 holds what only one process can hold; the others wait for that, and for each other
 * before it is let go. Where rank 0 is refused, every rank throws its error.
 */
export async function heldByFirst<T>(
  communicator: Communicator,
  hold: (body: () => Promise<T>) => Promise<T>,
  body: () => Promise<T>,
): Promise<T> {
  const whole = async (): Promise<T> => {
    const value = await body();
    await communicator.barrier();
    return value;
  };
  if (communicator.rank > 0) {
    valueIn(await valueOfFirst<Outcome<null>>(communicator, undefined as never));
    return await whole();
  }
  let held = false as boolean;
  try {
    return await hold(async () => {
      held = true;
      await valueOfFirst(communicator, { value: null });
      return await whole();
    });
  } catch (error) {
    if (!held) await valueOfFirst(communicator, refusalOf(error));
    throw error;
  }
}

/** What came of some work where that is a value or an interruption. Any other error is thrown. */
export async function outcomeOf<T>(work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await work() };
  } catch (error) {
    if (error instanceof UserError && error.exitCode === EXIT.interrupted) return refusalOf(error);
    throw error;
  }
}

/**
 * Runs this rank's part of the work and waits for those of the others. All ranks hear of an interruption, but not at the
 * same moment: every rank throws it once each has ended its part, with its state saved. Any other error is thrown at once.
 */
export async function inParts<T>(communicator: Communicator, part: () => Promise<T>): Promise<T> {
  const ended = await outcomeOf(part);
  const stops = await gatherValues(communicator, 'message' in ended ? ended : null);
  const first = stops.find(one => one !== null);
  return valueIn('message' in ended ? ended : (first ?? ended));
}
