import { shown } from './number.js';
import type { Table } from './table.js';

/** The table in Markdown, for summaries and papers' drafts. */
export function markdownTable({ columns, rows }: Table): string {
  const line = (cells: string[]): string => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [
    line(columns.map(column => column.replaceAll('_', ' '))),
    line(columns.map(() => '---')),
    ...rows.map(row => line(columns.map(column => shown(row[column])))),
  ].join('\n');
}
