import { appendFileSync, existsSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { stringify } from 'csv-stringify/sync';
import { messageOf, UserError } from '../../base/index.js';
import type { PathMeasures } from '../../diffusion/index.js';
import { byFirst, gatherParts, type Communicator } from '../../distributed/index.js';
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

/** What ranks but the first have measured so far, each in a table of its own. */
const partOf = (folder: string, rank: number): string =>
  join(folder, `trajectories_rank${String(rank).padStart(2, '0')}.csv`);

async function partsIn(folder: string): Promise<string[]> {
  const names = await readdir(folder);
  return names.filter(name => /^trajectories_rank\d+\.csv$/.test(name)).map(name => join(folder, name));
}

/** The table of a folder's paths; it grows a batch at a time, so that an interrupted folder keeps what it has. */
export class TrajectoryTable {
  private constructor(
    private readonly folder: string,
    private readonly path: string,
    private readonly found: Map<number, TrajectoryRow>,
  ) {}

  /** With the rows that are there, of all ranks; a last line that a killed process left half-written is dropped. */
  static async open(folder: string): Promise<TrajectoryTable> {
    const path = trajectoriesOf(folder);
    const rows: TrajectoryRow[] = [];
    for (const file of [path, ...(await partsIn(folder))])
      if (existsSync(file)) rows.push(...parsed(await readFile(file, 'utf8'), file));
    const table = new TrajectoryTable(folder, path, new Map(rows.map(row => [row.sample, row])));
    await table.write();
    return table;
  }

  /** That of another rank than the first; the file is made with its first rows. */
  static ofRank(folder: string, rank: number): TrajectoryTable {
    return new TrajectoryTable(folder, partOf(folder, rank), new Map());
  }

  has(sample: number): boolean {
    return this.found.has(sample);
  }

  /** Adds those of the samples that are wanted. */
  append(
    samples: number[],
    label: (k: number) => number,
    { straightness, efficiency }: PathMeasures,
    wanted: ReadonlySet<number>,
  ): void {
    const added = samples
      .map((sample, i) => ({
        sample,
        class: label(sample),
        straightness: straightness[i],
        efficiency: efficiency[i],
      }))
      .filter(({ sample }) => wanted.has(sample));
    const head = existsSync(this.path) ? [] : [TRAJECTORY_COLUMNS];
    appendFileSync(this.path, text([...head, ...added.map(cells)]));
    for (const row of added) this.found.set(row.sample, row);
  }

  /** The rows of all ranks, which are one table from now on, on every rank. */
  async ofAll(communicator: Communicator): Promise<TrajectoryRow[]> {
    const all = await gatherParts(communicator, this.rows());
    for (const row of all.flat()) this.found.set(row.sample, row);
    if (communicator.size > 1) await byFirst(communicator, () => this.write());
    return this.rows();
  }

  /** The whole table, in place of those of ranks. */
  private async write(): Promise<void> {
    await writeFileAtomic(this.path, text([TRAJECTORY_COLUMNS, ...this.rows().map(cells)]), { force: true });
    for (const part of await partsIn(this.folder)) await rm(part);
  }

  /** In the samples' order, each once. */
  private rows(): TrajectoryRow[] {
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
