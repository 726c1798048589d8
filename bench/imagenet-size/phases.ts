import type { Event, Moment } from './process.js';

/** A stretch of the analysis. */
export interface Phase {
  name: string;
  /** Of a fit: how many components, and how many iterations it had by the end. */
  components?: number;
  iterations?: number;
  seconds: number;
  /** MB */
  peak: number;
  read: number;
}

/**
 * Cuts the events of `analyze-gmm --json` into phases: open (and digest), PCA, projection (and one
 * Gaussian), and for each number of components the start (k-means and the first E-step, which computes every distance),
 * the other iterations, and the score of held-out rows. `ended` hears of each phase.
 */
export function phases(ended: (phase: Phase) => void): (event: Event, moment: Moment) => void {
  let current: Pick<Phase, 'name' | 'components'> = { name: 'open' };
  let since = { seconds: 0, read: 0 };
  let peak = 0;
  let done = 0;
  const next = (following: typeof current, { seconds, read }: Moment, iterations?: number): void => {
    ended({
      ...current,
      ...(iterations !== undefined && { iterations }),
      ...{ seconds: seconds - since.seconds, peak, read: read - since.read },
    });
    [current, since, peak] = [following, { seconds, read }, 0];
  };
  return (event, moment) => {
    peak = Math.max(peak, moment.peak);
    const { phase = '', state } = event;
    if (phase.endsWith(': PCA') && state === 'begun') next({ name: 'PCA' }, moment);
    if (phase.endsWith(': PCA') && state === 'ended') next({ name: 'project' }, moment);
    const components = Number(/(\d+) components?$/.exec(phase)?.[1]);
    if (components) {
      if (state === 'begun') {
        done = 0;
        next({ name: 'start', components }, moment);
      } else if (current.name === 'start' && event.done! > 0) {
        done = event.done!;
        next({ name: 'EM', components }, moment);
      }
      if (state === 'ended') next({ name: 'score', components }, moment, event.done! - done);
    }
    if (event.event === 'end') next(current, moment);
  };
}
