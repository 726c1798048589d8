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
  /** Replace latents that are there. */
  force?: boolean | undefined;
  /** How often the shard at hand is written, so that a crash loses no more; default every minute. */
  saveSeconds?: number | undefined;
  /** Continue after the last images saved by an interrupted run with the same settings. */
  resume?: boolean | undefined;
  /** Images per shard; default 10,000 as LightningDiT has it, fewer where a shard would exceed a quarter GiB. */
  shardRows?: number | undefined;
  /** Hears what a resumed extraction found damaged. */
  log?: Log | undefined;
  /** Of several processes, each writing its own part of the images: which this is, and how many; default one alone. */
  communicator?: Pick<Communicator, 'rank' | 'size'> | undefined;
}
