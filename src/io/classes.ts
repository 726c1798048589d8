import { UserError } from '../base/index.js';
import { asInt32, elementCount, type NdArray, type TypedArray } from './array.js';
import type { TextArray } from './npy-text.js';

/** A class for every row. Labels count the names where there are some; elsewhere they are the classes' own numbers. */
export interface Classes {
  labels: Int32Array;
  /** Names by label. */
  classes?: string[];
}

export interface NamedClasses {
  labels: Int32Array;
  classes: string[];
}

/**
 * Labels as files hold them → a class for every row. Whole numbers of any type from 0 stay as they are, a row of 0s and
 * a single 1 (one-hot) is the place of its 1. Text becomes the place of each name among the sorted names; numbers that
 * cannot count names (below 0 or beyond 32 bits) do likewise, sorted as numbers.
 */
export function classesFrom(where: string, values: NdArray | TextArray, rows: number): Classes {
  const { shape } = values;
  const count = elementCount(shape);
  if (!('text' in values) && shape.length === 2 && shape[0] === rows && shape[1] > 1)
    return { labels: fromOneHot(where, values, rows) };
  if (count !== rows || shape.filter(side => side !== 1).length > 1)
    throw new UserError(
      `${where}: ${shape.length > 1 ? `labels [${shape.join(', ')}]` : `${count} labels`} for ${rows} rows; there must be one for each`,
    );
  if ('text' in values) return labelsByName(values.text);
  const labels = asInt32(values.data);
  if (labels?.every(label => label >= 0)) return { labels };
  return labelsByNumber(where, values.data);
}

/** Class names → one label per row; the classes are numbered in the order of their names, as folders of images are. */
export function labelsByName(names: string[]): NamedClasses {
  return numbered(names, [...new Set(names)].sort());
}

/** The classes that occur, numbered from 0 without gaps in their own order; `present` holds their numbers before. */
export function presentClasses(labels: Int32Array): { labels: Int32Array; present: number[] } {
  const present = [...new Set(labels)].sort((a, b) => a - b);
  const place = new Map(present.map((label, i) => [label, i]));
  return { labels: labels.map(label => place.get(label)!), present };
}

/** The present classes with names: those of `classes`, or the numbers themselves. */
export function namedClasses({ labels, classes }: Classes): NamedClasses {
  const { labels: compact, present } = presentClasses(labels);
  return { labels: compact, classes: present.map(label => classes?.[label] ?? String(label)) };
}

function labelsByNumber(where: string, data: TypedArray): NamedClasses {
  const wrong = data.findIndex(value => typeof value === 'number' && !Number.isSafeInteger(value));
  if (wrong >= 0)
    throw new UserError(`${where}: row ${wrong} has label ${data[wrong]}; labels are whole numbers or text`);
  const values = Array.from<number | bigint>(data);
  const known = [...new Set(values)].sort((a, b) => (a < b ? -1 : 1));
  return numbered(values.map(String), known.map(String));
}

function numbered(names: string[], classes: string[]): NamedClasses {
  const place = new Map(classes.map((name, i) => [name, i]));
  return { labels: Int32Array.from(names, name => place.get(name)!), classes };
}

function fromOneHot(where: string, { shape, data }: NdArray, rows: number): Int32Array {
  const [, width] = shape;
  return Int32Array.from({ length: rows }, (_, row) => {
    const own = Array.from<number | bigint, number>(data.subarray(row * width, (row + 1) * width), Number);
    const place = own.indexOf(1);
    if (place < 0 || own.some((value, i) => value !== 0 && i !== place))
      throw new UserError(
        `${where}: labels [${shape.join(', ')}] whose row ${row} is not one-hot; there must be one class for each row`,
      );
    return place;
  });
}
