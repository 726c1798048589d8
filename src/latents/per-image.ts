import { UserError } from '../base/index.js';
import { asFloat32, elementCount, type NdArray } from '../io/index.js';
import { storedRow, toTokens, widthOf } from './layout.js';
import { fromMoments, type PosteriorChoice, type PosteriorScale } from './posterior.js';
import type { LatentsStore, StoreReader } from './store.js';

/** A data set of one array per image. */
export interface Items {
  /** One per image, in order; what messages call them. */
  names: string[];
  /** Whether each has a mirrored twin. */
  flips: boolean;
  /** Where an item is a posterior's moments: what follows the means. */
  scaleAs: PosteriorScale | undefined;
  open(): Promise<OpenItems>;
}

export interface OpenItems {
  read(index: number, flipped: boolean): Promise<NdArray>;
  close(): Promise<void>;
}

/** Files read at once: enough to hide their opening, few enough for any limit on open files. */
const AT_ONCE = 32;

/** Latents that lie one image a file. */
export async function perImageStore(
  items: Items,
  about: Omit<LatentsStore, 'count' | 'layout' | 'flips' | 'open'>,
  posterior: PosteriorChoice,
): Promise<LatentsStore> {
  const opened = await items.open();
  const { shape } = await opened.read(0, false).finally(() => opened.close());
  const { layout, channelsFirst } = storedRow(items.names[0], latentShape(items, shape));
  const one = async (source: OpenItems, index: number, flipped: boolean): Promise<Float32Array> => {
    const array = await source.read(index, flipped);
    if (array.shape.join() !== shape.join())
      throw new UserError(
        `${items.names[index]}: has shape [${array.shape.join(', ')}], the first image's is [${shape.join(', ')}]`,
      );
    const numbers = asFloat32(array.data);
    return items.scaleAs ? fromMoments(numbers, items.scaleAs, posterior, index, flipped) : numbers;
  };
  return {
    ...about,
    count: items.names.length,
    layout,
    flips: items.flips,
    async open(): Promise<StoreReader> {
      const source = await items.open();
      return {
        async readRows(start, end, flipped) {
          const out = new Float32Array((end - start) * widthOf(layout));
          for (let from = start; from < end; from += AT_ONCE) {
            const indices = Array.from({ length: Math.min(AT_ONCE, end - from) }, (_, i) => from + i);
            const rows = await Promise.all(indices.map(index => one(source, index, flipped)));
            rows.forEach((numbers, i) => out.set(numbers, (from + i - start) * widthOf(layout)));
          }
          if (channelsFirst) toTokens(out, layout);
          return out;
        },
        close: () => source.close(),
      };
    },
  };
}

/** Moments are twice as many channels as the latent. */
function latentShape({ names, scaleAs }: Items, shape: number[]): number[] {
  if (!scaleAs) return shape;
  if (shape.length !== 3 || shape[0] % 2 !== 0 || elementCount(shape) === 0)
    throw new UserError(
      `${names[0]}: has shape [${shape.join(', ')}]; means and spreads are [2·channels, height, width]`,
    );
  return [shape[0] / 2, shape[1], shape[2]];
}
