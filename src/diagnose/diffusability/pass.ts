import { tf, type Tensor3D } from '../../engine/index.js';
import type { RowSource } from '../../rows/index.js';

/** Rows that are latents [tokens, channels], flattened. */
export interface LatentRows {
  rows: RowSource;
  tokens: number;
  channels: number;
}

/** Mean and unbiased standard deviation of each channel over images and positions. */
export interface ChannelScale {
  mean: ArrayLike<number>;
  std: ArrayLike<number>;
}

/** Consecutive latents on the engine, standardised per channel. */
export interface Block {
  /** Number of its first row. */
  first: number;
  /** [n, t, c] */
  z: Tensor3D;
  /** The same with every token scaled to unit length, [n, t, c]. */
  unit: Tensor3D;
}

/** What a measure gathers while the rows pass by. The block is freed when `add` has ended. */
export interface Accumulator {
  add(block: Block): Promise<void>;
}

/** Shortest length that a token is divided by. */
const SHORTEST = 1e-8;

/** One pass over all rows, standardised, for any number of measures. Nothing is kept but what they gather. */
export async function overStandardised(
  { rows: source, tokens, channels }: LatentRows,
  scale: ChannelScale,
  accumulators: readonly Accumulator[],
  onRows: (seen: number) => void = () => undefined,
): Promise<void> {
  const shift = tf.tensor1d(Float32Array.from(scale.mean));
  const factor = tf.tensor1d(Float32Array.from(scale.std, inverse));
  try {
    for await (const { start, rows, data } of source.chunks()) {
      const block = tf.tidy(() => {
        const z = tf.tensor3d(data, [rows, tokens, channels]).sub(shift).mul<Tensor3D>(factor);
        return { z, unit: z.div<Tensor3D>(z.square().sum(2, true).sqrt().maximum(SHORTEST)) };
      });
      try {
        for (const accumulator of accumulators) await accumulator.add({ first: start, ...block });
      } finally {
        tf.dispose(block);
      }
      onRows(start + rows);
    }
  } finally {
    tf.dispose([shift, factor]);
  }
}

/** A channel that never changes is 0 once its mean is gone, whatever it is divided by. */
export const inverse = (std: number): number => (std > 0 ? 1 / std : 1);
