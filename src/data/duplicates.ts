import { colourDistance, HASH_BITS, HASH_WORDS, hashDistance, type Look } from './perceptual.js';

/** An image that was seen before. */
export interface Duplicate {
  index: number;
  /** The first of its kind. */
  like: number;
  /** Bits in which their hashes differ; undefined where they are equal pixel by pixel. */
  distance: number | undefined;
}

/** An image with what is compared of it. */
export interface Compared extends Look {
  index: number;
  /** Digest of its size and pixels. */
  pixels: string;
}

/** Mean difference of colours (of 255) from which on images of one pattern are not copies. */
const COLOURS = 24;

/**
 * Images that equal an earlier one, or are near it: hashes that differ in at most `near` bits, and about the same colours.
 * Not every pair is compared: hashes that differ in at most `near` bits agree in at least one of `near` + 1 bands of their
 * bits, so that only those which share a band are. An image without any contrast is compared only exactly.
 */
export function findDuplicates(images: readonly Compared[], near: number): Duplicate[] {
  const found: Duplicate[] = [];
  const exact = new Map<string, number>();
  const bands = bandsOf(near + 1);
  const buckets = bands.map(() => new Map<number, Compared[]>());
  for (const image of images) {
    const twin = exact.get(image.pixels);
    if (twin !== undefined) {
      found.push({ index: image.index, like: twin, distance: undefined });
      continue;
    }
    exact.set(image.pixels, image.index);
    if (near === 0 || image.hash.every(word => word === 0)) continue;
    const shared = buckets.map((bucket, i) => listAt(bucket, bandValue(image.hash, bands[i])));
    const nearest = nearestIn(shared, image, near);
    if (nearest) found.push(nearest);
    // What is a copy itself is not looked for: the first of a kind stands for all.
    else for (const list of shared) list.push(image);
  }
  return found;
}

function nearestIn(shared: Compared[][], image: Compared, near: number): Duplicate | undefined {
  let best: Duplicate | undefined;
  for (const list of shared)
    for (const other of list) {
      const distance = hashDistance(image.hash, other.hash);
      const isNearer = distance <= near && distance < (best?.distance ?? Infinity);
      if (isNearer && colourDistance(image.colours, other.colours) <= COLOURS)
        best = { index: image.index, like: other.index, distance };
    }
  return best;
}

function listAt(bucket: Map<number, Compared[]>, key: number): Compared[] {
  const list = bucket.get(key) ?? [];
  bucket.set(key, list);
  return list;
}

interface Band {
  start: number;
  bits: number;
}

/** The hash's bits in `count` bands; of each no more than its first 32. */
function bandsOf(count: number): Band[] {
  const edge = (i: number): number => Math.floor((i * HASH_BITS) / count);
  return Array.from({ length: count }, (_, i) => ({ start: edge(i), bits: Math.min(32, edge(i + 1) - edge(i)) }));
}

function bandValue(hash: Int32Array, { start, bits }: Band): number {
  const [word, shift] = [start >> 5, start & 31];
  const low = hash[word] >>> shift;
  const high = shift > 0 && word + 1 < HASH_WORDS ? hash[word + 1] << (32 - shift) : 0;
  const value = (low | high) >>> 0;
  return bits === 32 ? value : value & ((1 << bits) - 1);
}
