import { VERSION } from '../base/index.js';
import type { Context } from './command.js';

export type Cell = string | number | boolean | null | undefined;
export type Row = Record<string, Cell>;

export interface TableOptions {
  /** A CSV file; absent: stdout. */
  out?: string | undefined;
  force?: boolean | undefined;
  /** Written beside a CSV file as `<out>.protocol.json`. */
  protocol?: Card | undefined;
}

/** What the meaning of a table's numbers depends on. */
export type Card = Record<string, unknown>;

/**
 * A command's protocol card: its name, this version, and the fields that the meaning of its numbers depends on, in their
 * order. What was not chosen is null, so that two cards differ in values only.
 */
export function card(command: string, fields: Card): Card {
  const known: Card = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, value ?? null]));
  return { command, version: VERSION, ...known };
}

/** The options that a card tells, in the order named. */
export function picked<T extends object, K extends keyof T>(chosen: T, names: readonly K[]): Pick<T, K> {
  return Object.fromEntries(names.map(name => [name, chosen[name]])) as Pick<T, K>;
}

/** Refuses to begin if an output already exists. */
export async function refuseOutputs(paths: (string | undefined)[], force: boolean): Promise<void> {
  const { refuseExisting } = await import('../io/index.js');
  for (const path of paths) if (path !== undefined) refuseExisting(path, force);
}

/**
 * Writes rows as CSV (full float precision; empty cell for null, NaN as `nan`) to stdout or, whole or not at all, to a file.
 * Of several ranks only the first writes.
 */
export async function writeTable(
  context: Context,
  columns: string[],
  rows: Row[],
  { out, force = false, protocol }: TableOptions,
): Promise<void> {
  if (context.communicator.rank > 0) return;
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
  context.log.wrote(out);
}

function cell(value: Cell): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'number' && Number.isNaN(value) ? 'nan' : String(value);
}
