/** A block of features, row-major [rows, width]. */
export interface FeatureRows {
  rows: number;
  width: number;
  data: Float32Array;
}

/** Rows kept in the order they came, for metrics that compare images one with another. */
export interface KeptRows {
  count: number;
  width: number;
  blocks: Float32Array[];
}

export const noRows = (width: number): KeptRows => ({ count: 0, width, blocks: [] });

export function keep(kept: KeptRows, { rows, data }: FeatureRows): void {
  kept.blocks.push(data.subarray(0, rows * kept.width));
  kept.count += rows;
}

/** All rows as one block. */
export function together({ count, width, blocks }: KeptRows): FeatureRows {
  if (blocks.length === 1) return { rows: count, width, data: blocks[0] };
  const data = new Float32Array(count * width);
  let at = 0;
  for (const block of blocks) {
    data.set(block, at);
    at += block.length;
  }
  return { rows: count, width, data };
}

/** The rows at `indices` as a block of their own. */
export function chosenRows({ width, data }: FeatureRows, indices: ArrayLike<number>): FeatureRows {
  const chosen = new Float32Array(indices.length * width);
  for (let i = 0; i < indices.length; i++)
    chosen.set(data.subarray(indices[i] * width, (indices[i] + 1) * width), i * width);
  return { rows: indices.length, width, data: chosen };
}
