import type { Value } from './table.js';

/** Four significant digits for readers; the CSV next to it has them all. */
export function shown(value: Value | undefined): string {
  if (value === null || value === undefined) return '–';
  if (typeof value !== 'number' || Number.isInteger(value)) return String(value);
  const magnitude = Math.abs(value);
  return magnitude >= 1e6 || magnitude < 1e-3 ? value.toExponential(3) : String(Number(value.toPrecision(4)));
}
