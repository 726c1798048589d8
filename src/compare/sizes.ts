/** What is known of latents before anything is measured. */
export interface SpaceFacts {
  name: string;
  path: string;
  rows: number;
  dims: number;
  labelled: boolean;
}

/** What a study does to each latent space, and how long that takes. */
export interface Sizes {
  mixtures: Sized & { components: number[]; dims: number };
  probes: Sized;
  diagnosis: Sized;
  embedding: Sized;
  diffusion?: { steps: number; seconds: number } | undefined;
}

interface Sized {
  rows: number;
  /** Of all latent spaces together, as estimated. */
  seconds: number;
}

/** How mixtures and probes are controlled in a comparison; what is timed for its plan is what it does. */
export const NULLS = ['surrogate', 'permutation'];
export const PROBES = { probe: ['logistic', 'knn'], feature: ['flattened'], control: ['none', 'shuffled-labels'] };

/** How long an analysis of one latent space took on two numbers of rows, or a training for two numbers of steps. */
export interface Timing {
  sizes: [number, number];
  seconds: [number, number];
}

export interface Timings {
  /** For components that sum to `components`. */
  mixtures: Timing & {
    components: number;
    /** Axes that the latent spaces need, as the rows at hand say. */
    dims: number;
  };
  probes: Timing | undefined;
  diagnosis: Timing;
  embedding: Timing;
  diffusion: Timing | undefined;
}

/** Shares of the time, before and with the training of diffusion models. */
const SHARES = { mixtures: 0.5, probes: 0.15, diagnosis: 0.2, embedding: 0.15 };
const TRAINING = 0.6;
const COMPONENTS = [1, 2, 5, 10, 20, 40, 80, 160];
/** The share of rows that a mixture is fitted to; the others are held out. */
const FITTED = 0.8;
/**
 * Rows to fit for each component of the largest mixture, and twice as many as it has axes: few, so that the sweep goes on to
 * where the held-out NLL rises again, but enough for a covariance.
 */
const ROWS_PER_COMPONENT = 10;
const FEWEST_ROWS = 200;
/** The axes of a mixture are at most this share of its rows, so that covariances can be estimated. */
const ROWS_PER_AXIS = 20;
const STEPS = [50, 20_000] as const;

/**
 * The largest sizes whose estimated time is within `minutes`; all rows where time allows. Times are extrapolated by the
 * power of the size that the two measurements show, at least linearly and at most quadratically.
 */
export function chooseSizes(spaces: readonly SpaceFacts[], timings: Timings, minutes: number): Sizes {
  const most = Math.max(...spaces.map(({ rows }) => rows));
  const least = Math.min(...spaces.map(({ rows }) => rows));
  const training = timings.diffusion === undefined ? 0 : TRAINING;
  const seconds = (minutes * 60 * (1 - training)) / spaces.length;
  const sized = (timing: Timing, share: number, factor = 1): Sized => {
    const rows = largest(most, rows => factor * estimated(timing, rows) <= share * seconds);
    return { rows, seconds: spaces.length * factor * estimated(timing, Math.min(rows, most)) };
  };
  const { mixtures, diffusion } = timings;
  const fitted = COMPONENTS.filter(count => count === 1 || count * ROWS_PER_COMPONENT <= FITTED * least);
  // Fewer components rather than hardly any rows.
  const choices = fitted.map((_, i) => fitted.slice(0, fitted.length - i));
  const axes = (rows: number): number =>
    Math.max(1, Math.min(mixtures.dims, Math.floor(Math.min(rows, least) / ROWS_PER_AXIS)));
  const fitsOf = (counts: number[]): Sized => sized(mixtures, SHARES.mixtures, total(counts) / mixtures.components);
  const bears = (rows: number, count: number): boolean =>
    FITTED * Math.min(rows, least) >= count * Math.max(ROWS_PER_COMPONENT, 2 * axes(rows));
  const components = choices.find(counts => bears(fitsOf(counts).rows, counts.at(-1)!)) ?? choices.at(-1)!;
  const fits = fitsOf(components);
  const dims = axes(fits.rows);
  return {
    mixtures: { ...fits, components, dims },
    probes: timings.probes ? sized(timings.probes, SHARES.probes) : { rows: most, seconds: 0 },
    diagnosis: sized(timings.diagnosis, SHARES.diagnosis),
    embedding: sized(timings.embedding, SHARES.embedding),
    diffusion: diffusion && trainedFor(diffusion, (minutes * 60 * training) / spaces.length, spaces.length),
  };
}

function trainedFor(timing: Timing, seconds: number, spaces: number): { steps: number; seconds: number } {
  const [fewest, most] = STEPS;
  const perStep = (timing.seconds[1] - timing.seconds[0]) / (timing.sizes[1] - timing.sizes[0]);
  const steps = Math.round(Math.min(most, Math.max(fewest, seconds / Math.max(perStep, 1e-4))));
  return { steps, seconds: spaces * steps * perStep };
}

/** Seconds at a size. */
function estimated({ sizes: [a, b], seconds: [first, second] }: Timing, size: number): number {
  const power = a === b ? 1 : Math.log(second / first) / Math.log(b / a);
  return second * (size / b) ** Math.min(2, Math.max(1, power));
}

/** The largest number of rows that is affordable; not fewer than would mean anything. */
function largest(most: number, affordable: (rows: number) => boolean): number {
  if (affordable(most)) return most;
  let [low, high] = [Math.min(FEWEST_ROWS, most), most];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (affordable(middle)) low = middle;
    else high = middle;
  }
  return low;
}

export const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
