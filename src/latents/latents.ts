import { silentLog, UserError, type Log } from '../base/index.js';
import type { Communicator } from '../distributed/index.js';
import { selectedRows, type RowSource } from '../rows/index.js';
import { combinedDigest, sha256OfFile, type NamelessDType, type PosteriorName } from '../io/index.js';
import { splitFragment } from './array-file.js';
import { checkLabels } from './labels.js';
import type { LatentsLayout } from './layout.js';
import { openStore } from './open-store.js';
import { measuredStatistics, type ChannelStatistics } from './statistics.js';
import { findNonFinite, readIndices, refuseNonFinite, storeRows } from './store-rows.js';
import type { LatentsStore, StoreReader } from './store.js';

export interface LatentsOptions {
  /** Add the mirrored copies, as rows `images` to 2·`images`. Default: left out. */
  flips?: boolean | undefined;
  /** Leave out rows that hold NaN or infinite numbers; without it they are refused when met. */
  dropNonfinite?: boolean | undefined;
  /** For files that hold a posterior's moments: take its mean (default) or a sample by seed. */
  posterior?: PosteriorName | undefined;
  seed?: number | undefined;
  /** How many classes there are, so that labels beyond them are refused. Default: as many as the files name. */
  classCount?: number | undefined;
  /** What the numbers of .npy and .npz files are where NumPy did not store the name of their type. */
  nameless?: NamelessDType | undefined;
  log?: Log | undefined;
  /** Ranks that open the same latents and ask for their statistics together, each reading a share of the rows. */
  communicator?: Communicator | undefined;
}

/** Latents on disk, whatever program wrote them. */
export interface Latents extends LatentsLayout {
  /** The path they were opened by. */
  readonly name: string;
  /** Rows: images, and their mirrored copies where those were asked for. */
  readonly count: number;
  /** Whether mirrored copies are there to be asked for. */
  readonly hasFlips: boolean;
  /** One class per row: places among the names, or the classes' own numbers where there are none. */
  readonly labels?: Int32Array | undefined;
  /** Names of the classes, where known. */
  readonly classes?: string[] | undefined;
  /** Origin as recorded in the files: tokenizer, data, crop, posterior, … */
  readonly meta: Record<string, unknown>;
  /** All rows, flattened to [tokens·channels]. */
  rows(): RowSource;
  /** Rows by number, as [indices, tokens, channels]. */
  read(indices: ArrayLike<number>): Promise<Float32Array>;
  /** Each channel's mean and standard deviation: the files' own, else found in one pass over the images. */
  statistics(): Promise<ChannelStatistics>;
  /** SHA-256 over all files. */
  digest(): Promise<string>;
  close(): Promise<void>;
}

/**
 * Opens latents: a folder of LightningDiT's shards (with `latents.json` or `latents_stats.pt`), a folder with one .npz
 * per image (MAETok, MAR), .npy moments with `dataset.json` (REPA; EDM2 as a .zip), one .npy, .npz, safetensors, .pt, .h5,
 * .parquet or .arrow file (`file#array` where it holds several), or a folder of such files.
 */
export async function openLatents(path: string, options: LatentsOptions = {}): Promise<Latents> {
  const { posterior = 'mode', seed = 0, nameless } = options;
  const store = await openStore(path, { take: posterior, seed }, { nameless });
  if (store.count === 0) throw new UserError(`${path}: holds no rows`);
  if (store.labels) checkLabels(path, store.labels, options.classCount ?? store.classes?.length);
  if (options.flips && !store.flips)
    throw new UserError(`${path}: has no flipped latents; extract them again with flips, or leave --flips out`);
  const reader = openedWhenRead(store);
  try {
    const dropped = options.dropNonfinite ? await findNonFinite(store, reader, options.flips ?? false) : [];
    return latentsOver(store, dropped, options);
  } finally {
    await reader.close();
  }
}

/** A reader whose files are open only between its first read and its closing: what streams over all rows needs none. */
function openedWhenRead(store: LatentsStore): StoreReader {
  let opened: Promise<StoreReader> | undefined;
  return {
    readRows: async (start, end, flipped) => (await (opened ??= store.open())).readRows(start, end, flipped),
    async close() {
      const reader = await opened;
      opened = undefined;
      await reader?.close();
    },
  };
}

function latentsOver(store: LatentsStore, dropped: number[], options: LatentsOptions): Latents {
  const { log = silentLog, flips = false, dropNonfinite = false, communicator } = options;
  const reader = openedWhenRead(store);
  if (dropped.length > 0)
    log.warn(`${store.name}: ${dropped.length} of ${store.count} rows with NaN or infinite numbers are left out`);
  const kept = keptRows(store, dropped, flips);
  const all = storeRows(store, { flips, check: !dropNonfinite });
  const rows = dropped.length > 0 ? selectedRows(all, kept) : all;
  const images = store.count - dropped.length;
  let statistics: Promise<ChannelStatistics> | undefined;
  return {
    ...store.layout,
    name: store.name,
    count: kept.length,
    hasFlips: store.flips,
    labels: rows.labels,
    classes: store.classes,
    meta: store.meta,
    rows: () => rows,
    async read(indices) {
      const numbers = Array.from(indices, index => kept[index]);
      const wrong = numbers.indexOf(undefined as never);
      if (wrong >= 0) throw new RangeError(`${store.name}: row ${indices[wrong]} of ${kept.length}`);
      const data = await readIndices(store, reader, numbers);
      if (!dropNonfinite) await refuseNonFinite(store, reader, data, flips);
      return data;
    },
    statistics() {
      const stated = dropped.length === 0 ? store.statistics : undefined;
      // Over the images alone: a mirrored copy adds nothing that is not there already.
      return (statistics ??= stated
        ? Promise.resolve(stated)
        : measuredStatistics(rows, store.layout, { end: images, communicator }));
    },
    digest: () => digestOf(store),
    close: () => reader.close(),
  };
}

/** Row numbers with the mirrored copies behind the images, less those left out. */
function keptRows({ count, name }: LatentsStore, dropped: number[], flips: boolean): Int32Array {
  const out = new Set(dropped);
  const kept = Array.from({ length: count }, (_, row) => row).filter(row => !out.has(row));
  if (kept.length === 0) throw new UserError(`${name}: every row holds NaN or infinite numbers`);
  return Int32Array.from(flips ? [...kept, ...kept.map(row => row + count)] : kept);
}

async function digestOf(store: LatentsStore): Promise<string> {
  const { fragment } = splitFragment(store.name);
  const parts: Record<string, string> = fragment === undefined ? {} : { array: fragment };
  for (const [i, file] of store.files().entries()) parts[String(i).padStart(8, '0')] = await sha256OfFile(file);
  return combinedDigest(parts);
}
