import { parse } from 'csv-parse/sync';

/** Rows of a CSV text by the names in its first line, every cell a string. */
export const rowsOf = (csv: string): Record<string, string>[] => parse(csv, { columns: true });
