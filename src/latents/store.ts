import type { LatentsLayout } from './layout.js';
import type { ChannelStatistics } from './statistics.js';

/** Latents as some program left them on disk. One builder per dialect; what is above knows none of them. */
export interface LatentsStore {
  /** The path as it was given. */
  readonly name: string;
  /** Images; flipped copies are not counted. */
  readonly count: number;
  readonly layout: LatentsLayout;
  /** Whether every image's mirrored copy was encoded as well. */
  readonly flips: boolean;
  readonly labels?: Int32Array;
  /** Names of the classes, where the dialect has them. */
  readonly classes?: string[];
  /** Channel statistics from the files, if present. */
  readonly statistics?: ChannelStatistics | undefined;
  /** Their origin, as far as it is known. */
  readonly meta: Record<string, unknown>;
  /** Every file that the numbers come from. */
  files(): string[];
  open(): Promise<StoreReader>;
}

export interface StoreReader {
  /** Rows `start` to `end` (exclusive) as [rows, tokens, channels], of the images or of their mirrored copies. */
  readRows(start: number, end: number, flipped: boolean): Promise<Float32Array>;
  close(): Promise<void>;
}
