/*
 * What a word means, typed on a command line or written in a file. A word that may mean something other than it
 * seems to has no meaning, so that it is refused: `0x10`, `1,5`, `٣`.
 */

const DECIMAL = /^[+-]?(\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:e[+-]?\d+)?$/i;

/** The number written by a word in decimal: `-1.5`, `1e-4`, `10_000`. One that float64 cannot hold is refused. */
export function readNumber(word: string): number | undefined {
  const [text, mantissa] = DECIMAL.exec(word.trim()) ?? [];
  if (text === undefined) return undefined;
  const value = Number(text.replaceAll('_', ''));
  const isLost = !Number.isFinite(value) || (value === 0 && /[1-9]/.test(mantissa));
  return isLost ? undefined : value;
}

const TRUE = ['true', 'yes', 'on', '1'];
const FALSE = ['false', 'no', 'off', '0'];

/** `true`, `yes`, `on` and `1` in any case, and their opposites. */
export function readBoolean(word: string): boolean | undefined {
  const lower = word.trim().toLowerCase();
  return TRUE.includes(lower) ? true : FALSE.includes(lower) ? false : undefined;
}

/** Letters from which on the beginning of a word stands for it. */
const SHORTENED = 3;

/** The choice that a mistyped or shortened word most likely means: `WASM` → wasm, `kmean` → kmeans, `mae` → maetok. */
export function closest(word: string, choices: readonly string[]): string | undefined {
  const plain = (text: string): string => text.toLowerCase().replace(/[-_ ]/g, '');
  const started = choices.filter(choice => word.length >= SHORTENED && plain(choice).startsWith(plain(word)));
  if (started.length === 1) return started[0];
  const scored = choices
    .map(choice => ({ choice, distance: editDistance(plain(word), plain(choice)) }))
    .sort((a, b) => a.distance - b.distance);
  const best = scored.at(0);
  return best && best.distance <= Math.ceil(word.length / 3) ? best.choice : undefined;
}

/** The fewest letters to insert, delete or replace (Levenshtein 1966). */
function editDistance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++)
      row.push(Math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    above = row;
  }
  return above[b.length];
}

/** The option of a schema that `--reg-covar` names: `regCovar`. */
export const camel = (name: string): string => name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** How an option of a schema is typed, without its dashes: `regCovar` is `reg-covar`. */
export const kebab = (name: string): string => name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`);

/** A word as a shell reads it. */
export const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
