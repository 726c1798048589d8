import { z } from 'zod';

/** Option schemas that mean the same in every command. camelCase here is --kebab-case on the command line. */

/** A number from the command line; `abc` is refused, never NaN. */
export const number = z.coerce.number('must be a number');
export const positive = number.positive('must be above 0');
export const nonNegative = number.nonnegative('must be 0 or more');
export const count = number.int('must be a whole number').positive('must be above 0');
export const whole = number.int('must be a whole number').nonnegative('must be 0 or more');

const items = (value: unknown): unknown => (typeof value === 'string' ? value.split(',') : value);

/** `a,b,c` (or a YAML list) as the schema of a list has it. */
export const list = <T extends z.ZodType>(schema: T) => z.preprocess(items, schema);

/** `a,b,c` (or a YAML list) as strings. */
export const words = z.preprocess(
  value =>
    typeof value === 'string'
      ? value
          .split(',')
          .map(word => word.trim())
          .filter(Boolean)
      : value,
  z.array(z.string()),
);

const UNITS: Record<string, number> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** An amount of memory: `4GB`, `512M` or a number of bytes. */
export const bytes = z.preprocess(value => {
  const amount = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?$/i.exec(String(value).trim());
  return amount ? Math.floor(Number(amount[1]) * UNITS[amount[2].toUpperCase()]) : value;
}, z.number('must be an amount of memory, e.g. 4GB').positive('must be above 0'));

/** `50,100,200`, a range `1-10`, `10-100:10`, or a YAML list of numbers. */
export const counts = z.preprocess(
  value => (typeof value === 'string' ? value.split(',').flatMap(expandRange) : value),
  z.array(count),
);

function expandRange(word: string): unknown[] {
  const range = /^(\d+)-(\d+)(?::(\d+))?$/.exec(word.trim());
  if (!range) return [word.trim()];
  const [first, last, step] = [Number(range[1]), Number(range[2]), Number(range.at(3) ?? 1)];
  if (step < 1) return [word];
  return Array.from({ length: Math.max(0, Math.floor((last - first) / step) + 1) }, (_, i) => first + i * step);
}
