export interface LatentsBatch {
  /** The image of each row, in ascending order. */
  images: ArrayLike<number>;
  /** [n, tokens, channels]. */
  latents: Float32Array;
  /** Those of the mirrored images: with every batch or with none. */
  flipped?: Float32Array | undefined;
  /** One class per image: with every batch or with none. */
  labels?: ArrayLike<number> | undefined;
}

/** Rows of the shard at hand. */
export interface ShardBuffer {
  rows: number;
  /** [capacity, tokens, channels] */
  latents: Float32Array;
  flipped: Float32Array | undefined;
  labels: BigInt64Array | undefined;
  /** The part of one of its arrays that holds rows. */
  used(data: Float32Array): Float32Array;
  /** Takes rows from `from` on, as many as fit, and says how many. */
  take(batch: Omit<LatentsBatch, 'images'>, from: number, rows: number): number;
}

export function shardBuffer(capacity: number, width: number): ShardBuffer {
  return {
    rows: 0,
    latents: new Float32Array(capacity * width),
    flipped: undefined,
    labels: undefined,
    used(data) {
      return data.subarray(0, this.rows * width);
    },
    take({ latents, flipped, labels }, from, rows) {
      const count = Math.min(rows - from, capacity - this.rows);
      const part = [from * width, (from + count) * width] as const;
      this.latents.set(latents.subarray(...part), this.rows * width);
      if (flipped)
        (this.flipped ??= new Float32Array(capacity * width)).set(flipped.subarray(...part), this.rows * width);
      if (labels) {
        this.labels ??= new BigInt64Array(capacity);
        for (let i = 0; i < count; i++) this.labels[this.rows + i] = BigInt(labels[from + i]);
      }
      this.rows += count;
      return count;
    },
  };
}
