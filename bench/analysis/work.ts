/** Inputs of a benchmark's two sides: numbers and names, the same for both. */
export type Parameters = Record<string, number | string>;
/** Results of a side that must agree with those of the other side. */
export type Answer = Record<string, number>;

export interface Case<P extends Parameters = Parameters> {
  /** Label of the table's row and the chart's bar: a few words. */
  label: string;
  parameters: P;
  /** Times are given per one of so many steps; default 1. */
  steps?: number;
  /** How many times faster than the peer this ought to be. */
  atLeast?: number;
  /** Share of the peer's memory that this ought to stay under. */
  memoryBelow?: number;
  /** Repeated so often where the command line doesn't say; default 3. */
  rounds?: number;
}

export interface Place {
  /** Holds what `prepare` wrote. */
  folder: string;
  /** As many as either side may use. */
  threads: number;
}

/**
 * One work of the bench, in bench/analysis/NAME.ts as `work`; its peer, if any, in NAME.py next to it. Each
 * side runs in a separate process per case, so that its peak memory is measured separately.
 */
export interface Work<P extends Parameters = Parameters> {
  /** One line: what is done, and what the peer is. */
  about: string;
  /** The library on the other side; absent: ours alone is measured. */
  peer?: string;
  /** Packages of Python that it needs; default scikit-learn and what that does. */
  modules?: string[];
  /** `quick`: sizes that take seconds, to see that it works. Where its data are absent, none. */
  cases(quick: boolean): Case<P>[];
  /** Writes what both sides read; not timed. */
  prepare?(parameters: P, place: Place): Promise<void>;
  /** Prepares; the function that it returns is timed repeatedly. */
  open(parameters: P, place: Place): Promise<() => Promise<Answer>>;
  /** How the answers differ by more than they may; undefined where they agree. */
  difference?(ours: Answer, theirs: Answer): string | undefined;
}

/** Both numbers as text, where the first is off the second by more than a share of it. */
export function apart(name: string, ours: Answer, theirs: Answer, share: number): string | undefined {
  const off = Math.abs(ours[name] - theirs[name]) / Math.abs(theirs[name]);
  return off <= share ? undefined : `${name} ${ours[name]} here, ${theirs[name]} there`;
}
