import { UserError, type Log } from '../base/index.js';
import { namedClasses } from '../io/index.js';

export interface ModelClasses {
  /** The model's class of every row; absent where the latents have none. */
  labels?: Int32Array;
  classes: number;
  /** Names by class, where numbers alone do not tell. */
  names?: string[];
}

export interface KnownClasses {
  /** How many classes the model has; default: those that occur in the latents, or that their files name. */
  classes?: number | undefined;
  /** Their names, where it has learned them. */
  classNames?: string[] | undefined;
  log: Log;
}

/**
 * Which of a model's classes each row is of. By name where the model's have names; a model of so many numbered classes
 * takes numbers as they are, and names that are numbers for those. A new model's classes are those that occur: labels
 * that begin at 1 or have gaps are counted from 0, and keep their numbers for names.
 * @throws UserError for a class that the model does not have.
 */
export function modelClasses(
  latents: { name: string; labels?: Int32Array | undefined; classes?: string[] | undefined },
  { classes: count, classNames, log }: KnownClasses,
): ModelClasses {
  const { name, labels, classes: own } = latents;
  if (!labels) return { classes: count ?? 1 };
  if (count !== undefined) return { classes: count, ...amongKnown(name, { labels, classes: own }, count, classNames) };
  // Names that only count up to the largest label say nothing of which classes there are.
  if (own?.some((known, i) => known !== String(i))) return { labels, classes: own.length, names: own };
  const present = namedClasses({ labels });
  const isCounted = present.classes.every((number, i) => number === String(i));
  if (isCounted) return { labels, classes: present.classes.length };
  log.note(
    `${name}: its ${present.classes.length} labels are not 0 to ${present.classes.length - 1}; each label names a class`,
  );
  return { labels: present.labels, classes: present.classes.length, names: present.classes };
}

interface Labelled {
  labels: Int32Array;
  classes: string[] | undefined;
}

function amongKnown(
  name: string,
  { labels, classes: own }: Labelled,
  count: number,
  names: string[] | undefined,
): { labels: Int32Array; names?: string[] } {
  const isNumbered = own?.every(known => /^\d+$/.test(known) && Number(known) < count);
  const place = (label: number): number => {
    const called = own?.[label];
    if (names && (called !== undefined || !areCounted(names))) return names.indexOf(called ?? String(label));
    return isNumbered ? Number(called) : label;
  };
  const places = new Map([...new Set(labels)].map(label => [label, place(label)]));
  for (const [label, found] of places)
    if (found < 0 || found >= count)
      throw new UserError(
        `${name}: class ${own?.[label] ?? label} is not one of the model's ${count} (${names ? shown(names) : `0 to ${count - 1}`})`,
      );
  const kept = names ?? (own && !isNumbered ? own : undefined);
  return { labels: labels.map(label => places.get(label)!), ...(kept && { names: kept }) };
}

/** Whether a number is a class' place: names that are numbers themselves are looked up instead. */
export const areCounted = (names: string[]): boolean => !names.every(name => /^-?\d+$/.test(name));

const SHOWN = 5;
/** The first few names, and how many there are. */
export const shown = (names: string[]): string =>
  names.slice(0, SHOWN).join(', ') + (names.length > SHOWN ? `, … ${names.length} in all` : '');
