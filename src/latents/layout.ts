import { UserError } from '../base/index.js';
import { elementCount } from '../io/index.js';

/** The shape of one image's latents: [tokens, channels], and the grid that the tokens were cut from where they were. */
export interface LatentsLayout {
  tokens: number;
  channels: number;
  /** Rows and columns of a two-dimensional latent; tokens run along its rows. */
  grid?: [height: number, width: number] | undefined;
}

/** How a stored row becomes [tokens, channels]. */
export interface StoredRow {
  layout: LatentsLayout;
  /** Stored as [channels, height, width], as convolutional tokenizers give it. */
  channelsFirst: boolean;
}

/** Numbers of one row. */
export const widthOf = ({ tokens, channels }: LatentsLayout): number => tokens * channels;

/**
 * Reads a stored row's shape: [C, H, W] is a grid of H·W tokens (a height of 1 is a plain sequence), [L, C] is L tokens,
 * [D] is one token. Raw pixels come as [side, side, 3].
 */
export function storedRow(where: string, shape: readonly number[]): StoredRow {
  if (shape.length === 0 || shape.length > 3 || elementCount(shape) === 0)
    throw new UserError(
      `${where}: rows of shape [${shape.join(', ')}]; latents are [N, C, H, W], [N, tokens, C] or [N, D]`,
    );
  if (shape.length === 1) return { layout: { tokens: 1, channels: shape[0] }, channelsFirst: false };
  if (shape.length === 2) return { layout: { tokens: shape[0], channels: shape[1] }, channelsFirst: false };
  if (isImage(shape)) {
    const [side, , channels] = shape;
    return { layout: { tokens: side * side, channels, grid: [side, side] }, channelsFirst: false };
  }
  const [channels, height, width] = shape;
  const layout = { tokens: height * width, channels };
  return { layout: height === 1 ? layout : { ...layout, grid: [height, width] }, channelsFirst: true };
}

/** Latents are hardly three tokens wide, and as high as they have channels. */
const isImage = ([first, second, last]: readonly number[]): boolean => first === second && first > 4 && last === 3;

/** Turns each row of [C, tokens] into [tokens, C], in place. */
export function toTokens(data: Float32Array, { tokens, channels }: LatentsLayout): void {
  transposeRows(data, channels, tokens);
}

/** Turns each row of [tokens, C] into [C, tokens], in place. */
export function toChannelsFirst(data: Float32Array, { tokens, channels }: LatentsLayout): void {
  transposeRows(data, tokens, channels);
}

function transposeRows(data: Float32Array, height: number, width: number): void {
  if (height === 1 || width === 1) return;
  const size = height * width;
  const row = new Float32Array(size);
  for (let at = 0; at < data.length; at += size) {
    row.set(data.subarray(at, at + size));
    for (let i = 0; i < height; i++) for (let j = 0; j < width; j++) data[at + j * height + i] = row[i * width + j];
  }
}
