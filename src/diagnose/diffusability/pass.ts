import { alone, type Communicator, type OfRanks } from '../../distributed/index.js';
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

/** What a measure gathers while the rows pass by. */
export interface Accumulator {
  /** The block is freed when this has ended. */
  add(block: Block): Promise<void>;
  /** What all ranks have gathered of their rows, which follow each other, becomes that of each. */
  merge(communicator: Communicator): Promise<void>;
}

/** Shortest length that a token is divided by. */
const SHORTEST = 1e-8;

export interface PassOptions {
  /** Ranks that read a share of the rows each. */
  ranks?: OfRanks | undefined;
  onRows?: (seen: number) => void;
}

/** One pass over all rows, standardised, for any number of measures. Nothing is kept but what they gather. */
export async function overStandardised(
  { rows: source, tokens, channels }: LatentRows,
  scale: ChannelScale,
  accumulators: readonly Accumulator[],
  { ranks, onRows }: PassOptions = {},
): Promise<void> {
  const { communicator = alone, share = { start: 0, end: source.rows } } = ranks ?? {};
  const shift = tf.tensor1d(Float32Array.from(scale.mean));
  const factor = tf.tensor1d(Float32Array.from(scale.std, inverse));
  try {
    for await (const { start, rows, data } of source.chunks(share)) {
      const block = tf.tidy(() => {
        const z = tf.tensor3d(data, [rows, tokens, channels]).sub(shift).mul<Tensor3D>(factor);
        return { z, unit: z.div<Tensor3D>(z.square().sum(2, true).sqrt().maximum(SHORTEST)) };
      });
      try {
        for (const accumulator of accumulators) await accumulator.add({ first: start, ...block });
      } finally {
        tf.dispose(block);
      }
      onRows?.(start + rows - share.start);
    }
  } finally {
    tf.dispose([shift, factor]);
  }
  for (const accumulator of accumulators) await accumulator.merge(communicator);
}

/** A channel that never changes is 0 once its mean is gone, whatever it is divided by. */
export const inverse = (std: number): number => (std > 0 ? 1 / std : 1);
