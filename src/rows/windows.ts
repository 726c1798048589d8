import type { RandomNumbers } from '../base/index.js';
import type { OfRanks, Share } from '../distributed/index.js';
import type { RowSource } from './source.js';
import { arrayRows } from './sources.js';
/** Consecutive rows are drawn together, so that a file is not read row by row: this many at most, and few beside a batch. */
const LONGEST_RUN = 32;
const RUNS = 256;

/** The part of a stretch that is of the share; none of it is an empty stretch of the share. */
const within = (share: Share, start: number, end: number): Share => ({
  start: Math.min(Math.max(start, share.start), share.end),
  end: Math.max(Math.min(end, share.end), share.start),
});

/** Random batches of a source's rows, all of one size and one after the other in the same memory. */
export interface Windows {
  /** The batch at hand. */
  readonly rows: RowSource;
  /** Batches in a pass over the source. */
  readonly perPass: number;
  /** Takes up a pass's batch: the same rows for the same pass and number, whatever came before. */
  load(pass: number, batch: number): Promise<void>;
}

/**
 * Batches of about `size` rows, each of runs from all over the source: rows that lie class by class come mixed. A pass
 * visits every row once but for less than a run per batch. Of several ranks each reads the rows of its share and gets the
 * others' from them.
 */
export function randomWindows(source: RowSource, size: number, random: RandomNumbers, ranks?: OfRanks): Windows {
  const { name, width } = source;
  const shared = ranks !== undefined && ranks.communicator.size > 1;
  const share = ranks?.share ?? { start: 0, end: source.rows };
  const run = Math.max(1, Math.min(LONGEST_RUN, Math.floor(size / RUNS)));
  const runs = Math.floor(source.rows / run);
  const perPass = Math.max(1, Math.floor(source.rows / size));
  const perBatch = Math.floor(runs / perPass);
  const data = new Float32Array(perBatch * run * width);
  let order: { pass: number; runs: Int32Array } | undefined;
  return {
    rows: arrayRows(name, data, perBatch * run, width),
    perPass,
    load: async (pass, batch) => {
      if (order?.pass !== pass) order = { pass, runs: random.at(pass).permutation(runs) };
      const chosen = order.runs.slice(batch * perBatch, (batch + 1) * perBatch).sort();
      // Rows that no run holds are others in every pass.
      const offset = pass % (source.rows - runs * run + 1);
      if (shared) data.fill(0);
      for (const [i, number] of chosen.entries()) {
        const start = offset + number * run;
        for await (const chunk of source.chunks(within(share, start, start + run)))
          data.set(chunk.data.subarray(0, chunk.rows * width), (i * run + chunk.start - start) * width);
      }
      if (shared) await ranks.communicator.allReduceSum(data);
    },
  };
}
