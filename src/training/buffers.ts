import { tf, type Tensor } from '../engine/index.js';
import type { Params } from '../nn/index.js';

/** Which of a step's batches a process sees. */
export interface Seen {
  /** How many, of how many. */
  parts: number;
  all: number;
  /** Those that come after its own, and are seen by others. */
  later: number;
  /** Processes that see different rows of the same batches. */
  sharers: number;
}

/**
 * How buffers (parameters that the data of a batch moves without a gradient) come out of a step as if one process had seen
 * its batches in turn, where several have, each beginning at the buffers from before the step. All functions are pure.
 */
export interface BufferRule {
  /** What a process's data have done, in numbers that add up over the processes. */
  change(before: Params, after: Params, seen: Seen): Params;
  /** The buffers after the whole step, given the sum of the changes. */
  moved(before: Params, change: Params, seen: Seen): Params;
  /** Buffers that `parts` batches move whatever is in them. */
  ahead?(params: Params, parts: number): Params;
}

/**
 * Buffers of which one batch leaves the share `kept` and adds something that does not depend on them: moving averages, by
 * their decay; counts, 1; what is new after every batch, 0.
 */
export const movingBuffers = (kept: (name: string) => number): BufferRule => ({
  change: (before, after, { parts, later, sharers }) =>
    mapped(after, (value, name) => {
      const added = value.sub<Tensor>(before[name].mul(kept(name) ** parts));
      return added.mul(kept(name) ** later / sharers);
    }),
  moved: (before, change, { all }) =>
    mapped(change, (added, name) => before[name].mul<Tensor>(kept(name) ** all).add(added)),
});

const mapped = (params: Params, f: (value: Tensor, name: string) => Tensor): Params =>
  tf.tidy(() => Object.fromEntries(Object.entries(params).map(([name, value]) => [name, f(value, name)])));
