import { RandomNumbers, readNumber, UserError } from '../../base/index.js';
import { areCounted, shown } from '../../latents/index.js';

/**
 * Which class each sample is of: `balanced` takes the classes in turn, `random` draws by seed, and names or numbers are
 * taken in turn as given.
 */
export function labelPlan(
  words: string[],
  classes: number,
  names: string[] | undefined,
  seed: number,
): (k: number) => number {
  if (words.length === 1 && words[0] === 'balanced') return k => k % classes;
  if (words.length === 1 && words[0] === 'random') {
    const random = new RandomNumbers(seed).for('labels');
    return k => random.at(0, k).integers(1, classes)[0];
  }
  const chosen = words.map(word => labelOf(word, classes, names));
  return k => chosen[k % chosen.length];
}

function labelOf(word: string, classes: number, names: string[] | undefined): number {
  const named = names?.indexOf(word) ?? -1;
  if (named >= 0) return named;
  const label = readNumber(word);
  // Where names are numbers, any other number is not an index.
  if (label === undefined || !Number.isInteger(label) || (names && !areCounted(names)))
    throw new UserError(
      `--labels ${word}: no class of this name${names ? ` (${shown(names)})` : ''}; give ${names && !areCounted(names) ? '' : 'numbers, '}balanced or random`,
    );
  if (label < 0 || label >= classes) throw new UserError(`--labels ${word}: the model has classes 0 to ${classes - 1}`);
  return label;
}
