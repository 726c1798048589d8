import { z } from 'zod';
import { readNumber } from './words.js';

/** Option schemas that mean the same in every command. camelCase here is --kebab-case on the command line. */

/** Options that --help-all lists together under a heading. */
export function grouped<Shape extends Record<string, z.ZodType>>(group: string, shape: Shape): Shape {
  const marked: Record<string, z.ZodType> = {};
  for (const [name, schema] of Object.entries(shape)) marked[name] = schema.meta({ group });
  return marked as Shape;
}

/** A number that may also be written as a word. What zod would coerce by `Number` is refused: '', null, true, [5]. */
const WordedNumber: z.core.$constructor<z.ZodNumber> = z.core.$constructor('WordedNumber', (schema, definition) => {
  z.ZodNumber.init(schema, definition);
  const parse = schema._zod.parse.bind(schema._zod);
  schema._zod.parse = (payload, context) => {
    if (typeof payload.value === 'string') payload.value = readNumber(payload.value) ?? payload.value;
    return parse(payload, context);
  };
});

/** A number from the command line; `abc` is refused, never NaN. Its methods give each bound a message. */
export const number: z.ZodNumber = new WordedNumber({ type: 'number', error: issue => outOfBounds(issue) });
export const positive = number.positive();
export const nonNegative = number.nonnegative();
export const count = number.int().positive();
export const whole = number.int().nonnegative();

function outOfBounds(issue: z.core.$ZodRawIssue): string {
  if (issue.code === 'too_small') return `must be ${bound(issue.minimum, issue.inclusive, 'or more', 'above')}`;
  if (issue.code === 'too_big') return `must be ${bound(issue.maximum, issue.inclusive, 'or less', 'below')}`;
  return issue.code === 'invalid_type' && issue.expected === 'int' ? 'must be a whole number' : 'must be a number';
}

const bound = (limit: unknown, inclusive: unknown, within: string, beyond: string): string =>
  inclusive === false ? `${beyond} ${String(limit)}` : `${String(limit)} ${within}`;

const split = (value: unknown): unknown =>
  typeof value === 'string' ? value.split(',').map(word => word.trim()) : value;

/** `a,b,c` (or a YAML list) as an array for the given schema. */
export const list = <T extends z.ZodType>(schema: T) => z.preprocess(split, schema);

const distinct = (value: unknown): unknown => (Array.isArray(value) ? [...new Set<unknown>(value)] : value);

/** `a,b,c` (or a YAML list) as strings, each once. */
export const words = z.preprocess(
  value => distinct(split(value)),
  z.array(z.string().min(1, 'has an empty item between commas')),
);

const UNITS: Record<string, number> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** An amount of memory: `4GB`, `512M` or a number of bytes. */
export const bytes = z.preprocess(value => {
  const amount = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?$/i.exec(String(value).trim());
  return amount ? Math.floor(Number(amount[1]) * UNITS[amount[2].toUpperCase()]) : value;
}, z.number('must be an amount of memory, e.g. 4GB').positive('must be above 0'));

/** `50,100,200`, a range `1-10`, `10-100:10`, or a YAML list of these; each number once. */
export const counts = z.preprocess(value => {
  const items = split(value);
  return distinct(Array.isArray(items) ? items.flatMap(expandRange) : items);
}, z.array(count));

/** More numbers than that are a typing error. */
const LONGEST_RANGE = 100_000;

/** A range that counts down, does not advance or never ends is left unexpanded, and then refused as not a number. */
function expandRange(item: unknown): unknown[] {
  const range = typeof item === 'string' ? /^(\d+)\s*-\s*(\d+)(?:\s*:\s*(\d+))?$/.exec(item) : null;
  if (!range) return [typeof item === 'string' ? (readNumber(item) ?? item) : item];
  const [first, last, step] = [Number(range[1]), Number(range[2]), Number(range.at(3) ?? 1)];
  const length = Math.floor((last - first) / step) + 1;
  if (!(length >= 1 && length <= LONGEST_RANGE)) return [item];
  return Array.from({ length }, (_, i) => first + i * step);
}
