import { appendFileSync, existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { parse } from 'csv-parse/sync';
import { stringify } from 'csv-stringify/sync';
import { messageOf, UserError } from '../base/index.js';
import { writeFileAtomic } from '../io/index.js';

export type CsvCell = string | number;
export type CsvRow = Record<string, CsvCell>;

/**
 * A CSV file that grows during a run; its first column is `step`. A row is one write, so that a killed process leaves
 * whole rows (or one torn last line, which opening drops).
 */
export class CsvTable {
  private constructor(
    private readonly path: string,
    private columns: string[],
  ) {}

  /** Starts a table, in place of any former one. */
  static async start(path: string): Promise<CsvTable> {
    await rm(path, { force: true });
    return new CsvTable(path, []);
  }

  /** Continues a table as it was after `step`: later rows are removed. */
  static async resume(path: string, step: number): Promise<CsvTable> {
    if (!existsSync(path)) return new CsvTable(path, []);
    const [columns = [], ...rows] = parseLines(await readFile(path, 'utf8'), path);
    const kept = rows.filter(([at]) => Number(at) <= step);
    if (kept.length === 0) return await CsvTable.start(path);
    await writeFileAtomic(path, stringify([columns, ...kept]), { force: true });
    return new CsvTable(path, columns);
  }

  async append(rows: CsvRow[]): Promise<void> {
    if (rows.length === 0) return;
    const added = new Set(rows.flatMap(row => Object.keys(row)));
    for (const column of this.columns) added.delete(column);
    if (added.size > 0) await this.widen([...this.columns, ...added]);
    appendFileSync(this.path, stringify(rows.map(row => this.columns.map(column => text(row[column])))));
  }

  /** New columns come with a new kind of row (a phase that starts later): former rows get empty cells. */
  private async widen(columns: string[]): Promise<void> {
    const rows = existsSync(this.path) ? parseLines(await readFile(this.path, 'utf8'), this.path).slice(1) : [];
    const padded = rows.map(row => columns.map((_, i) => row[i] ?? ''));
    await writeFileAtomic(this.path, stringify([columns, ...padded]), { force: true });
    this.columns = columns;
  }
}

function parseLines(content: string, path: string): string[][] {
  const whole = content.slice(0, content.lastIndexOf('\n') + 1);
  try {
    return parse(whole, { relax_column_count: true });
  } catch (error) {
    throw new UserError(`${path}: is damaged: ${messageOf(error)}; move it away to continue without its rows`);
  }
}

function text(value: CsvCell | undefined): string {
  if (value === undefined) return '';
  return Number.isNaN(value) ? 'nan' : String(value);
}
