import type { RawImage } from '../io/index.js';
import { resize } from './resample.js';

/** Cells of a side that an image is averaged to. */
const CELLS = 9;
/** 32-bit words of a hash: 64 bits along the rows, 64 along the columns. */
export const HASH_WORDS = 4;
export const HASH_BITS = 32 * HASH_WORDS;

/** What an image looks like, in a few bytes. */
export interface Look {
  /** [HASH_WORDS] */
  hash: Int32Array;
  /** Mean colours of the cells, [9 · 9 · 3]. */
  colours: Uint8Array;
}

/**
 * The difference hash (dHash, N. Krawetz 2013): the image averaged to 9 × 9 cells (box filter), their luma 299 R + 587 G +
 * 114 B, and a bit for each of 8 × 8 cells that says whether its right neighbour is brighter; here also whether the one
 * below is. It hardly changes with size, compression and brightness. Colours are kept beside it, which it does not see.
 */
export function lookOf(image: RawImage): Look {
  const { data: colours } = resize(image, CELLS, CELLS, 'box');
  const luma = Int32Array.from({ length: CELLS * CELLS }, (_, cell) => {
    const at = 3 * cell;
    return 299 * colours[at] + 587 * colours[at + 1] + 114 * colours[at + 2];
  });
  const hash = new Int32Array(HASH_WORDS);
  let bit = 0;
  for (const step of [1, CELLS])
    for (let y = 0; y < CELLS - 1; y++)
      for (let x = 0; x < CELLS - 1; x++, bit++) {
        const cell = y * CELLS + x;
        if (luma[cell + step] > luma[cell]) hash[bit >> 5] |= 1 << (bit & 31);
      }
  return { hash, colours };
}

/** Bits in which two hashes differ. */
export function hashDistance(a: Int32Array, b: Int32Array): number {
  let bits = 0;
  for (let i = 0; i < HASH_WORDS; i++) bits += ones(a[i] ^ b[i]);
  return bits;
}

/** Mean difference of two looks' colours, in levels of 255. */
export function colourDistance(a: Uint8Array, b: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += Math.abs(a[i] - b[i]);
  return sum / a.length;
}

function ones(word: number): number {
  let v = word - ((word >>> 1) & 0x55555555);
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
  return Math.imul((v + (v >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
