/*
 * Counter-based random numbers: Philox 4×32-10 (Salmon et al. 2011). A block of four words is a pure function of
 * (key, counter), so sample k is the same whatever the batch, the engine or the number of processes, and there is no
 * state to save: a resumed run asks for the same counters again.
 */

// Looked up once: in a sandbox, where tests run, looking up a global costs more than the product.
const { imul } = Math;

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;

/** The high 32 bits of the 64-bit product of two unsigned words. */
function mulHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = (middle & 0xffff) + aLow * bHigh;
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000)) >>> 0;
}

/** One Philox 4×32-10 block into out[at..at+3]. */
export function philox(
  out: Uint32Array,
  at: number,
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): void {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = mulHigh(M0, c0);
    const low0 = imul(M0, c0) >>> 0;
    const high1 = mulHigh(M1, c2);
    const low1 = imul(M1, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + W0) >>> 0;
    k1 = (k1 + W1) >>> 0;
  }
  out[at] = c0;
  out[at + 1] = c1;
  out[at + 2] = c2;
  out[at + 3] = c3;
}

/** FNV-1a: a purpose's name as a word of the key. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

/**
 * Random numbers keyed by (seed, purpose, step, index). Every call restarts at the same place: the same stream asked
 * twice gives the same numbers, so derive a stream per use with `at` or `for`.
 */
export class RandomNumbers {
  constructor(
    protected readonly seed: number,
    protected readonly purpose = '',
    protected readonly step = 0,
    protected readonly index = 0,
  ) {}

  /** The stream of another purpose under the same seed. */
  for(purpose: string): RandomNumbers {
    return new RandomNumbers(this.seed, `${this.purpose}/${purpose}`, this.step, this.index);
  }

  /** The stream of one step and, within it, one sample. */
  at(step: number, index = 0): RandomNumbers {
    return new RandomNumbers(this.seed, this.purpose, step, index);
  }

  /** `count` uniform 32-bit words. */
  words(count: number): Uint32Array {
    const out = new Uint32Array(Math.ceil(count / 4) * 4);
    const key = [hash(this.purpose), this.seed >>> 0] as const;
    // Steps and indices beyond 2^32 do not occur; the counter's low word counts blocks within one draw.
    for (let i = 0; i < out.length; i += 4)
      philox(out, i, [i / 4, this.index >>> 0, this.step >>> 0, Math.floor(this.seed / 2 ** 32) >>> 0], key);
    return out.subarray(0, count);
  }

  /** `count` numbers uniform in [0, 1), 24 bits each. */
  uniforms(count: number): Float32Array {
    return Float32Array.from(this.words(count), word => (word >>> 8) / 2 ** 24);
  }

  /** `count` standard normal numbers (Box–Muller). */
  normals(count: number): Float32Array {
    const words = this.words(Math.ceil(count / 2) * 2);
    const out = new Float32Array(count);
    for (let i = 0; i < count; i += 2) {
      const radius = Math.sqrt(-2 * Math.log((words[i] + 1) / 2 ** 32));
      const angle = (2 * Math.PI * words[i + 1]) / 2 ** 32;
      out[i] = radius * Math.cos(angle);
      if (i + 1 < count) out[i + 1] = radius * Math.sin(angle);
    }
    return out;
  }

  /** `count` integers uniform in [0, below), below ≤ 2^24. */
  integers(count: number, below: number): Int32Array {
    return Int32Array.from(this.uniforms(count), u => Math.floor(u * below));
  }

  /** A uniform permutation of 0 … length − 1 (Fisher–Yates). */
  permutation(length: number): Int32Array {
    const words = this.words(length);
    const out = Int32Array.from({ length }, (_, i) => i);
    for (let i = length - 1; i > 0; i--) {
      const j = Math.floor((words[i] / 2 ** 32) * (i + 1));
      const swap = out[i];
      out[i] = out[j];
      out[j] = swap;
    }
    return out;
  }
}
