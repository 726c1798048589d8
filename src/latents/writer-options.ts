import type { Log } from '../base/index.js';
import type { Communicator } from '../distributed/index.js';
import type { FloatDType } from '../io/index.js';
import type { LatentsLayout } from './layout.js';

/** Description of the latents to be written. */
export interface LatentsDescription extends LatentsLayout {
  /** Names of the classes, if they have any. */
  classes?: string[] | undefined;
  /** Numbers on disk; default float32. float16 refuses what it cannot hold. */
  dtype?: FloatDType | undefined;
  /** Where they come from (tokenizer and its digest, data, crop, posterior, …). Resuming needs the same. */
  meta: Record<string, unknown>;
}

export interface LatentsWriterOptions {
  /** How many images there are. */
  images: number;
  /** Replace latents that are there. */
  force?: boolean | undefined;
  /** How often the shard at hand is written, so that a crash loses no more; default every minute. */
  saveSeconds?: number | undefined;
  /** Write only what an interrupted run with the same settings, of as many ranks or others, has not written. */
  resume?: boolean | undefined;
  /** Images per shard; default 10,000 as LightningDiT has it, fewer where a shard would exceed a quarter GiB. */
  shardRows?: number | undefined;
  /** Hears what a resumed extraction found damaged. */
  log?: Log | undefined;
  /** The ranks that write the folder together; default one alone. */
  communicator?: Communicator | undefined;
  /** Ranks' parts begin at multiples of so many images; default 1. */
  batchSize?: number | undefined;
}
