import { appendFileSync, existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { stringify } from 'csv-stringify/sync';
import { messageOf, UserError } from '../../base/index.js';
import type { PathMeasures } from '../../diffusion/index.js';
import { writeFileAtomic } from '../../io/index.js';
import { estimate } from '../../statistics/index.js';

/** The path of one sample. */
export interface TrajectoryRow {
  sample: number;
  class: number;
  straightness: number;
  efficiency: number;
}

export const TRAJECTORY_COLUMNS = ['sample', 'class', 'straightness', 'efficiency'] as const;
const MEASURES = ['straightness', 'efficiency'] as const;

/** The table within a folder of samples. */
export const trajectoriesOf = (folder: string): string => join(folder, 'trajectories.csv');

/** The table of a folder's paths; it grows a batch at a time, so that an interrupted folder keeps what it has. */
export class TrajectoryTable {
  private constructor(
    private readonly path: string,
    private readonly found: Map<number, TrajectoryRow>,
  ) {}

  /** With the rows that are there; a last line that a killed process left half-written is dropped. */
  static async open(folder: string): Promise<TrajectoryTable> {
    const path = trajectoriesOf(folder);
    const rows = existsSync(path) ? parsed(await readFile(path, 'utf8'), path) : [];
    await writeFileAtomic(path, text([TRAJECTORY_COLUMNS, ...rows.map(cells)]), { force: true });
    return new TrajectoryTable(path, new Map(rows.map(row => [row.sample, row])));
  }

  has(sample: number): boolean {
    return this.found.has(sample);
  }

  append(samples: number[], label: (k: number) => number, { straightness, efficiency }: PathMeasures): void {
    const added = samples.map((sample, i) => {
      return { sample, class: label(sample), straightness: straightness[i], efficiency: efficiency[i] };
    });
    appendFileSync(this.path, text(added.map(cells)));
    for (const row of added) this.found.set(row.sample, row);
  }

  /** In the samples' order, each once. */
  rows(): TrajectoryRow[] {
    return [...this.found.values()].sort((a, b) => a.sample - b.sample);
  }
}

export interface TrajectorySummary {
  measure: (typeof MEASURES)[number];
  value: number;
  low: number;
  high: number;
  /** Those that have the measure: a path that stands still does not. */
  samples: number;
}

/** The mean of each measure, with Student's 95% interval over the samples. */
export function trajectorySummary(rows: readonly TrajectoryRow[]): TrajectorySummary[] {
  return MEASURES.map(measure => {
    const { mean, low, high, count } = estimate(rows.map(row => row[measure]).filter(value => !Number.isNaN(value)));
    return { measure, value: mean, low, high, samples: count };
  });
}

const cells = (row: TrajectoryRow): string[] =>
  TRAJECTORY_COLUMNS.map(column => (Number.isNaN(row[column]) ? 'nan' : String(row[column])));

const text = (lines: (readonly string[])[]): string => stringify(lines);

function parsed(content: string, path: string): TrajectoryRow[] {
  const whole = content.slice(0, content.lastIndexOf('\n') + 1);
  try {
    const records = parse<Record<string, string>>(whole, { columns: true });
    if (records.some(record => TRAJECTORY_COLUMNS.some(column => !record[column])))
      throw new Error('cells are missing');
    return records.map(
      record => Object.fromEntries(TRAJECTORY_COLUMNS.map(column => [column, Number(record[column])])) as never,
    );
  } catch (error) {
    throw new UserError(`${path}: is damaged: ${messageOf(error)}; remove it, and its paths are sampled again`);
  }
}
