import { z } from 'zod';

/** Option schemas that mean the same in every command. camelCase here is --kebab-case on the command line. */

/** A number from the command line; `abc` is refused, never NaN. */
export const number = z.coerce.number('must be a number');
export const positive = number.positive('must be above 0');
export const nonNegative = number.nonnegative('must be 0 or more');
export const count = number.int('must be a whole number').positive('must be above 0');
export const whole = number.int('must be a whole number').nonnegative('must be 0 or more');

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
