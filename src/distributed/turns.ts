import type { Communicator } from './communicator.js';
import { gatherParts } from './exchange.js';
import { outcomeOf, valueIn } from './outcome.js';

/** Where ranks take turns at `count` things, the numbers of those that are a rank's: its own and every `size`-th from there. */
export function* turnsOf({ rank, size }: Pick<Communicator, 'rank' | 'size'>, count: number): Generator<number> {
  for (let k = rank; k < count; k += size) yield k;
}

/**
 * What ranks that take turns make of things, on every rank and in the things' order. `own` gives what this rank makes of its turns, one
 * after the other; what it throws on an interruption is thrown on every rank. One thing of each rank is held at a time.
 */
export async function* inTurns<T>(communicator: Communicator, own: AsyncGenerator<T, void>): AsyncGenerator<T, void> {
  if (communicator.size === 1) {
    yield* own;
    return;
  }
  try {
    for (;;) {
      const round = await gatherParts(communicator, await outcomeOf(() => own.next()));
      for (const result of round.map(valueIn)) {
        if (result.done) return;
        yield result.value;
      }
    }
  } finally {
    await own.return();
  }
}
