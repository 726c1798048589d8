import type { Context } from './command.js';

export type Cell = string | number | boolean | null | undefined;
export type Row = Record<string, Cell>;

export interface TableOptions {
  /** A CSV file; absent: stdout. */
  out?: string | undefined;
  force?: boolean | undefined;
  /** What the meaning of the numbers depends on; written beside a CSV file as `<out>.protocol.json`. */
  protocol?: Record<string, unknown> | undefined;
}

/** Refuses to begin if an output already exists. */
export async function refuseOutputs(paths: (string | undefined)[], force: boolean): Promise<void> {
  const { refuseExisting } = await import('../io/index.js');
  for (const path of paths) if (path !== undefined) refuseExisting(path, force);
}

/** Writes rows as CSV (full float precision; empty cell for null, NaN as `nan`) to stdout or, whole or not at all, to a file. */
export async function writeTable(
  context: Context,
  columns: string[],
  rows: Row[],
  { out, force = false, protocol }: TableOptions,
): Promise<void> {
  const { stringify } = await import('csv-stringify/sync');
  const text = stringify(
    rows.map(row => columns.map(column => cell(row[column]))),
    { header: true, columns },
  );
  if (out === undefined) {
    context.stdout.write(text);
    return;
  }
  const { writeFileAtomic } = await import('../io/index.js');
  await writeFileAtomic(out, text, { force });
  if (protocol)
    await writeFileAtomic(`${out}.protocol.json`, `${JSON.stringify(protocol, null, 2)}\n`, { force: true });
}

function cell(value: Cell): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'number' && Number.isNaN(value) ? 'nan' : String(value);
}
