import { RandomNumbers, UserError, type Log } from '../../base/index.js';
import type { ImageDataset } from '../../data/index.js';
import { encodePng, sha256OfText } from '../../io/index.js';
import { judgmentPage, type ShownPair } from './page.js';

export interface JudgedImages {
  name: string;
  images: ImageDataset;
}

export interface PageSettings {
  /** Pairs shown. */
  num: number;
  question: string;
  seed: number;
}

/** Whether the first set's image is on the left. Seed and pair alone decide, so that a page need not tell. */
export const isFirstLeft = (seed: number, pair: number): boolean =>
  new RandomNumbers(seed, 'judgments/sides').at(pair).words(1)[0] % 2 === 0;

/** A page for blind judgments of image k of one set against image k of the other, order and sides drawn by seed. */
export async function comparisonPage(
  a: JudgedImages,
  b: JudgedImages,
  { num, question, seed }: PageSettings,
  log: Log,
): Promise<string> {
  const available = Math.min(a.images.count, b.images.count);
  if (a.images.count !== b.images.count)
    log.warn(`${a.name} has ${a.images.count} images, ${b.name} ${b.images.count}; the first ${available} are paired`);
  const order = new RandomNumbers(seed, 'judgments/order').permutation(available);
  const pairs: ShownPair[] = [];
  const progress = log.progress('pairs', Math.min(num, available), 'pairs');
  try {
    for (const pair of order) {
      if (pairs.length === num) break;
      const [first, second] = [await urlOf(a.images, pair), await urlOf(b.images, pair)];
      if (first === undefined || second === undefined) continue;
      pairs.push({
        pair,
        ...(isFirstLeft(seed, pair) ? { left: first, right: second } : { left: second, right: first }),
      });
      progress.update(pairs.length);
    }
  } finally {
    progress.stop();
  }
  if (pairs.length === 0) throw new UserError(`${a.name} and ${b.name}: no pair of readable images`);
  const id = sha256OfText(JSON.stringify([a.images.digest, b.images.digest, seed, num])).slice(0, 12);
  return judgmentPage({ question, a: a.name, b: b.name, seed, id, pairs });
}

async function urlOf(images: ImageDataset, index: number): Promise<string | undefined> {
  try {
    const png = await encodePng(await images.read(index));
    return `data:image/png;base64,${Buffer.from(png).toString('base64')}`;
  } catch (error) {
    images.reportBroken(index, error);
    return undefined;
  }
}
