import { setImmediate } from 'node:timers/promises';
import { EXIT, RandomNumbers, UserError, type Log } from '../../base/index.js';
import { diffusionFloor, type Mixture } from '../../gmm/index.js';
import {
  leastSquaresSlopes,
  plantedMixture,
  trainDenoiser,
  type DenoiserOptions,
  type Slope,
} from '../../synth/index.js';

export interface DiffusionSettings extends Omit<DenoiserOptions, 'rows' | 'onStep'> {
  components: number[];
  separations: number[];
  dims: number[];
  /** Training rows. */
  rows: number[];
  /** Networks per case, each with a mixture, rows and weights of its own. */
  repeats: number;
}

export interface DiffusionRow {
  components: number;
  separation: number;
  dims: number;
  training_rows: number;
  repeat: number;
  /** Least loss that any network can have, per dimension, over t in [0, 1]. */
  floor: number;
  /** Loss of the network on rows that it never saw. */
  loss: number;
  excess: number;
  train_loss: number;
  best_step: number;
}

export interface SlopeRow {
  separation: number;
  dims: number;
  /** The excess is proportional to this to the power of the slope. */
  predictor: 'components' | 'training_rows';
  slope: number;
  low: number;
  high: number;
  networks: number;
}

/** Number of time bins of the floor, which is evaluated at their midpoints. */
const FLOOR_BINS = 16;
const FLOOR_DRAWS = 512;

/** Small velocity networks on mixtures whose modes are known: a row per network. */
export async function synthDiffusion(
  settings: DiffusionSettings,
  { log, signal }: { log: Log; signal?: AbortSignal },
): Promise<DiffusionRow[]> {
  const cases = casesOf(settings);
  const { steps } = settings;
  const progress = log.progress('synth diffusion', cases.length * settings.rows.length * steps, 'steps');
  const rows: DiffusionRow[] = [];
  for (const { components, separation, dims, repeat } of cases) {
    const random = new RandomNumbers(settings.seed).for('synth-diffusion').at(repeat);
    const mixture = plantedMixture({ components, dims, separation, random });
    const floor = meanFloor(mixture, settings.seed);
    for (const trainingRows of settings.rows) {
      const done = rows.length * steps;
      const { excess, step, trainLoss } = await trainDenoiser(mixture, {
        ...settings,
        rows: trainingRows,
        seed: settings.seed + repeat,
        onStep: async at => {
          progress.update(done + at, `${components} components, ${trainingRows} rows`);
          await setImmediate();
          if (signal?.aborted) throw new UserError('interrupted; nothing was written', EXIT.interrupted);
        },
      });
      rows.push({
        components,
        separation,
        dims,
        training_rows: trainingRows,
        repeat,
        floor,
        loss: floor + excess,
        excess,
        train_loss: trainLoss,
        best_step: step,
      });
    }
  }
  progress.stop();
  return rows;
}

/** Over t in [0, 1], per dimension. */
function meanFloor(mixture: Mixture, seed: number): number {
  const times = Array.from({ length: FLOOR_BINS }, (_, bin) => (bin + 0.5) / FLOOR_BINS);
  const floors = diffusionFloor(mixture, { times, samples: FLOOR_DRAWS, seed });
  return floors.reduce((sum, value) => sum + value, 0) / FLOOR_BINS;
}

function casesOf({ components, separations, dims, repeats }: DiffusionSettings) {
  return separations.flatMap(separation =>
    dims.flatMap(dims =>
      components.flatMap(components =>
        Array.from({ length: repeats }, (_, repeat) => ({ separation, dims, components, repeat })),
      ),
    ),
  );
}

/** How the excess grows with the modes and falls with the rows, within each separation and dimension. */
export function diffusionSlopes(rows: DiffusionRow[]): SlopeRow[] {
  return groups(rows, ({ separation, dims }) => `${separation} ${dims}`).flatMap(own => {
    const logs = {
      components: own.map(row => Math.log(row.components)),
      training_rows: own.map(row => Math.log(row.training_rows)),
    };
    const varied = (['components', 'training_rows'] as const).filter(name => new Set(logs[name]).size > 1);
    const slopes = leastSquaresSlopes(
      varied.map(name => logs[name]),
      own.map(row => Math.log(row.excess)),
    );
    const [{ separation, dims }] = own;
    return (slopes ?? []).map(({ value, low, high }: Slope, i) => ({
      separation,
      dims,
      predictor: varied[i],
      slope: value,
      low,
      high,
      networks: own.length,
    }));
  });
}

/** Repeats put together for a chart: the excess's geometric mean, and its least and largest. */
export function meanExcess(rows: DiffusionRow[]) {
  return groups(rows, row => [row.separation, row.dims, row.components, row.training_rows].join(' ')).map(own => {
    const [{ separation, dims, components, training_rows }] = own;
    const excesses = own.map(({ excess }) => excess);
    const mean = Math.exp(excesses.reduce((sum, value) => sum + Math.log(value), 0) / own.length);
    return {
      ...{ space: `separation ${separation}, ${dims} dimensions`, components, training_rows, excess: mean },
      excess_low: Math.min(...excesses),
      excess_high: Math.max(...excesses),
    };
  });
}

/** How much the floor alone, which training cannot change, varies with separation and the number of modes. */
export function floorVerdict(rows: DiffusionRow[]): string {
  const range = (key: (row: DiffusionRow) => unknown): number =>
    Math.max(
      ...groups(rows, row => `${row.dims} ${String(key(row))}`).map(own => {
        const floors = own.map(({ floor }) => floor);
        return Math.max(...floors) - Math.min(...floors);
      }),
    );
  const bySeparation = range(({ components }) => components);
  const byCount = range(({ separation }) => separation);
  return (
    `the floor itself varies by up to ${bySeparation.toFixed(3)} with separation at a given number of modes, and by up ` +
    `to ${byCount.toFixed(3)} with their number at a given separation: compare excesses, not losses`
  );
}

function groups<T>(rows: T[], key: (row: T) => string): T[][] {
  const found = new Map<string, T[]>();
  for (const row of rows) found.set(key(row), [...(found.get(key(row)) ?? []), row]);
  return [...found.values()];
}
