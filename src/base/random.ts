/*
 * Counter-based random numbers: Philox 4×32-10 (Salmon et al. 2011). A block of four words is a pure function of
 * (key, counter), so sample k is the same whatever the batch, the engine or the number of processes, and there is no
 * state to save: a resumed run asks for the same counters again.
 */

// Looked up once: in a sandbox, where tests run, looking up a global costs more than what it computes.
const { ceil, cos, floor, imul, log, PI, sin, sqrt } = Math;

// Words are held as signed integers throughout (`| 0`), which need no floating-point arithmetic.
const M0 = 0xd2511f53 | 0;
const M1 = 0xcd9e8d57 | 0;
const W0 = 0x9e3779b9 | 0;
const W1 = 0xbb67ae85 | 0;

/** The high 32 bits of the 64-bit product of two unsigned words. */
function mulHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = (imul(aHigh, bLow) + (imul(aLow, bLow) >>> 16)) | 0;
  const carry = ((middle & 0xffff) + imul(aLow, bHigh)) | 0;
  return (imul(aHigh, bHigh) + (middle >>> 16) + (carry >>> 16)) | 0;
}

/** One Philox 4×32-10 block into out[at..at+3]. */
export function philox(
  out: Uint32Array,
  at: number,
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): void {
  // Not destructured: iterating over a tuple takes as long as five rounds.
  let c0 = counter[0] | 0;
  let c1 = counter[1] | 0;
  let c2 = counter[2] | 0;
  let c3 = counter[3] | 0;
  let k0 = key[0] | 0;
  let k1 = key[1] | 0;
  for (let round = 0; round < 10; round++) {
    const high0 = mulHigh(M0, c0);
    const low0 = imul(M0, c0);
    const high1 = mulHigh(M1, c2);
    const low1 = imul(M1, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + W0) | 0;
    k1 = (k1 + W1) | 0;
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

/** Consecutive rows of a batch. */
export interface RowsOfBatch {
  first: number;
  count: number;
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
    /** The rows that numbers are drawn for, where these are some of a batch's. */
    protected readonly rows?: RowsOfBatch,
  ) {}

  /** The stream of another purpose under the same seed. */
  for(purpose: string): RandomNumbers {
    return new RandomNumbers(this.seed, `${this.purpose}/${purpose}`, this.step, this.index, this.rows);
  }

  /** The stream of one step and, within it, one sample. */
  at(step: number, index = 0): RandomNumbers {
    return new RandomNumbers(this.seed, this.purpose, step, index, this.rows);
  }

  /**
   * The stream for some rows of a batch: numbers are drawn for each of them, equally many for all, and are the ones that
   * drawing for the whole batch gives these rows.
   */
  forRows(rows: RowsOfBatch): RandomNumbers {
    return new RandomNumbers(this.seed, this.purpose, this.step, this.index, rows);
  }

  /** The stream without regard to rows: for what is drawn once for the whole batch. */
  forBatch(): RandomNumbers {
    return new RandomNumbers(this.seed, this.purpose, this.step, this.index);
  }

  /** The first row that numbers are drawn for. */
  get firstRow(): number {
    return this.rows?.first ?? 0;
  }

  /** `count` uniform 32-bit words. */
  words(count: number): Uint32Array {
    return this.wordsFrom(this.before(count), count);
  }

  /** How many numbers the rows before the first have where these rows have `count`. */
  private before(count: number): number {
    if (!this.rows) return 0;
    const each = count / this.rows.count;
    if (!Number.isInteger(each))
      throw new Error(`${count} random numbers for ${this.rows.count} rows of a batch (${this.purpose})`);
    return this.rows.first * each;
  }

  /** `count` words from word `start` on. */
  private wordsFrom(start: number, count: number): Uint32Array {
    const first = floor(start / 4);
    const out = new Uint32Array((ceil((start + count) / 4) - first) * 4);
    const key = [hash(this.purpose), this.seed >>> 0] as const;
    // Steps and indices beyond 2^32 do not occur; the counter's low word counts blocks within one draw.
    for (let i = 0; i < out.length; i += 4)
      philox(out, i, [first + i / 4, this.index >>> 0, this.step >>> 0, floor(this.seed / 2 ** 32) >>> 0], key);
    return out.subarray(start - 4 * first, start - 4 * first + count);
  }

  /** `count` numbers uniform in [0, 1), 24 bits each. */
  uniforms(count: number): Float32Array {
    return Float32Array.from(this.words(count), word => (word >>> 8) / 2 ** 24);
  }

  /** `count` standard normal numbers (Box–Muller). */
  normals(count: number): Float32Array {
    // Numbers come in pairs; the first that is wanted may be a second of its pair.
    const start = this.before(count);
    const skipped = start % 2;
    const words = this.wordsFrom(start - skipped, ceil((skipped + count) / 2) * 2);
    const out = new Float32Array(words.length);
    for (let i = 0; i < out.length; i += 2) {
      const radius = sqrt(-2 * log((words[i] + 1) / 2 ** 32));
      const angle = (2 * PI * words[i + 1]) / 2 ** 32;
      out[i] = radius * cos(angle);
      out[i + 1] = radius * sin(angle);
    }
    return out.length === count ? out : out.slice(skipped, skipped + count);
  }

  /** `count` integers uniform in [0, below), below ≤ 2^24. */
  integers(count: number, below: number): Int32Array {
    return Int32Array.from(this.uniforms(count), u => floor(u * below));
  }

  /** A uniform permutation of 0 … length − 1 (Fisher–Yates), without regard to rows. */
  permutation(length: number): Int32Array {
    const words = this.wordsFrom(0, length);
    const out = Int32Array.from({ length }, (_, i) => i);
    for (let i = length - 1; i > 0; i--) {
      const j = floor((words[i] / 2 ** 32) * (i + 1));
      const swap = out[i];
      out[i] = out[j];
      out[j] = swap;
    }
    return out;
  }
}
