import { RandomNumbers, readNumber, UserError } from '../../base/index.js';
import { areCounted, shown } from '../../latents/index.js';

/**
 * Which class each sample is of, whatever the number of samples: `balanced` takes the classes in turn, `equal` in another
 * order by seed each time round, `random` draws each by seed, and names or numbers are taken in turn as given.
 */
export function labelPlan(
  words: string[],
  classes: number,
  names: string[] | undefined,
  seed: number,
): (k: number) => number {
  if (words.length === 1 && words[0] === 'balanced') return k => k % classes;
  if (words.length === 1 && words[0] === 'equal') return equalPlan(classes, seed);
  if (words.length === 1 && words[0] === 'random') {
    const random = new RandomNumbers(seed).for('labels');
    return k => random.at(0, k).integers(1, classes)[0];
  }
  const chosen = words.map(word => labelOf(word, classes, names));
  return k => chosen[k % chosen.length];
}

/** Every class once in each round, so that the classes of an unfinished round are a draw without replacement. */
function equalPlan(classes: number, seed: number): (k: number) => number {
  const random = new RandomNumbers(seed).for('equal labels');
  const rounds = new Map<number, Int32Array>();
  return k => {
    const round = Math.floor(k / classes);
    const order = rounds.get(round) ?? random.at(round).permutation(classes);
    rounds.set(round, order);
    return order[k % classes];
  };
}

/** What is said where all classes are to be sampled equally often, but the number of samples is no multiple of theirs. */
export function unequalShares(words: string[], classes: number, samples: number): string | undefined {
  const more = { balanced: 'the first', equal: 'drawn by seed,' }[words.join()];
  const rest = samples % classes;
  if (more === undefined || rest === 0 || samples < classes) return undefined;
  const each = Math.floor(samples / classes);
  return `--labels ${words.join()}: ${samples} is no multiple of ${classes} classes; ${more} ${rest} have ${each + 1} samples, the others ${each}`;
}

function labelOf(word: string, classes: number, names: string[] | undefined): number {
  const named = names?.indexOf(word) ?? -1;
  if (named >= 0) return named;
  const label = readNumber(word);
  // Where names are numbers, any other number is not an index.
  if (label === undefined || !Number.isInteger(label) || (names && !areCounted(names)))
    throw new UserError(
      `--labels ${word}: no class of this name${names ? ` (${shown(names)})` : ''}; give ${names && !areCounted(names) ? '' : 'numbers, '}balanced, equal or random`,
    );
  if (label < 0 || label >= classes) throw new UserError(`--labels ${word}: the model has classes 0 to ${classes - 1}`);
  return label;
}
