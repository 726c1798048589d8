import { isDeepStrictEqual } from 'node:util';
import { EXIT, UserError, type FailureCode } from './errors.js';
import { isRecord } from './record.js';

/** A field in which earlier work and the work at hand differ; undefined where one has none. */
export interface Change {
  name: string;
  before: unknown;
  now: unknown;
}

/** The fields in which two records differ as JSON keeps them; `deep`: of records within them, as `a.b`. */
export function changes(before: object, now: object, { deep = false } = {}): Change[] {
  const [a, b] = [before, now].map(record => JSON.parse(JSON.stringify(record)) as Record<string, unknown>);
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap(name => {
    const [x, y] = [a[name], b[name]];
    if (isDeepStrictEqual(x, y)) return [];
    if (!deep || !isRecord(x) || !isRecord(y)) return [{ name, before: x, now: y }];
    return changes(x, y, { deep }).map(change => ({ ...change, name: `${name}.${change.name}` }));
  });
}

/** A value of a change, as a message shows it. */
export const shown = (value: unknown): string => (value === undefined ? 'absent' : JSON.stringify(value));

/** What a message says of the changes, of which there is at least one. */
type Wording = (first: Change, all: Change[]) => string;

/** The usual wording; `remedy` is an alternative to giving the former value. */
export const begunWith =
  (remedy: string): Wording =>
  ({ name, before, now }) =>
    `was begun with ${name} ${shown(before)}, now ${shown(now)}; give the former value, or ${remedy}`;

/**
 * Refuses to continue at `where` what was begun as other work: the records say what the meaning of its results depends
 * on, except for the fields named in `free`.
 * @throws UserError in this wording, with this exit code.
 */
export function refuseOtherWork(
  where: string,
  before: object,
  now: object,
  {
    free = [],
    deep = false,
    say,
    exitCode = EXIT.usage,
  }: { free?: readonly string[]; deep?: boolean; say: Wording; exitCode?: FailureCode },
): void {
  const found = changes(before, now, { deep }).filter(({ name }) => !free.includes(name));
  if (found.length > 0) throw new UserError(`${where}: ${say(found[0], found)}`, exitCode);
}
