import type { RandomNumbers } from '../base/index.js';

const { imul } = Math;

/**
 * Uniform 32-bit words one at a time for inner loops that draw hundreds of millions (xoshiro128**, Blackman & Vigna
 * 2018), started from a counter-based stream.
 */
export function generator(random: RandomNumbers): () => number {
  let [a, b, c, d] = random.for('generator').words(4);
  return () => {
    const scaled = imul(b, 5);
    const result = imul((scaled << 7) | (scaled >>> 25), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = (d << 11) | (d >>> 21);
    return result;
  };
}
