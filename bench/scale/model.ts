/** What a step, sum or iteration costs. */
export interface Costs {
  /** Seconds of one core that every rank spends whatever their number. */
  fixed: number;
  /** Seconds of one core that ranks divide among them. */
  divided: number;
  /** Of `divided`, the seconds at its end beside which sums already travel. */
  beside: number;
  /** Bytes that are summed over ranks. */
  bytes: number;
  /** Exchanges. */
  calls: number;
}

export interface Link {
  /** Seconds that the shortest exchange of two ranks takes. */
  latency: number;
  /** What each rank sends and receives in a second. */
  bytesPerSecond: number;
}

/** What is known of a link from sums of two ranks, of a few bytes and of many; in a sum of two every byte crosses once. */
export function linkOf(few: { bytes: number; seconds: number }, many: { bytes: number; seconds: number }): Link {
  const bytesPerSecond = (many.bytes - few.bytes) / (many.seconds - few.seconds);
  return { latency: few.seconds - few.bytes / bytesPerSecond, bytesPerSecond };
}

/** Fixed and divided seconds from those of one rank with all of the work and with a small `part` of it. */
export function costsOf(all: number, little: number, part: number): Pick<Costs, 'fixed' | 'divided'> {
  const divided = Math.min(all, (all - little) / (1 - part));
  return { fixed: all - divided, divided };
}

/**
 * Seconds of a sum over ranks: messages that pass on from rank to rank in a tree, and 2 (N − 1) / N of the bytes through every
 * link, the least that any way of summing needs (Patarasuk & Yuan 2009, Bandwidth optimal all-reduce algorithms).
 */
export function exchangeSeconds({ bytes, calls }: Costs, { latency, bytesPerSecond }: Link, ranks: number): number {
  if (ranks === 1) return 0;
  return calls * latency * Math.ceil(Math.log2(ranks)) + (2 * (ranks - 1) * bytes) / (ranks * bytesPerSecond);
}

/** Seconds on `ranks` ranks of one core. */
export function predicted(costs: Costs, link: Link, ranks: number): number {
  const waiting = Math.max(0, exchangeSeconds(costs, link, ranks) - costs.beside);
  return costs.fixed + costs.divided / ranks + waiting;
}
