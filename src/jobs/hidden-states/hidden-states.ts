import { totalmem } from 'node:os';
import { concatenated, EXIT, UserError, type Log, unlabelled } from '../../base/index.js';
import {
  hiddenStatesAt,
  openDiffusion,
  sequenceLength,
  tokenGrid,
  type Diffusion,
  type NetworkConfig,
} from '../../diffusion/index.js';
import { alone, gathered, ofRank, shareOf, type Communicator } from '../../distributed/index.js';
import { RandomStream, startEngine, tf } from '../../engine/index.js';
import { combinedDigest, isRun, readRunConfig, type NamelessDType } from '../../io/index.js';
import { measuredStatistics, type ChannelStatistics, type NormalisedLatents } from '../../latents/index.js';
import { arrayRows, type RowSource } from '../../rows/index.js';
import { openFitting } from '../diffusion-loss/index.js';
import type { HiddenStatesSpec } from './options.js';

export interface HiddenStatesOptions {
  /** How many rows to take, from the first. */
  limit?: number | undefined;
  dropNonfinite?: boolean | undefined;
  nameless?: NamelessDType | undefined;
  /** Of the noise, which a row has whatever the rows beside it. */
  seed?: number | undefined;
  log: Log;
  /** Ranks that compute a share of the rows each and hold all of them. */
  communicator?: Communicator | undefined;
}

/** Tokens of a diffusion model, in the place of latents. */
export interface HiddenStates {
  /** [tokens · channels] per row, with the latents' labels. */
  rows: RowSource;
  tokens: number;
  /** The width of the network, or of its head. */
  channels: number;
  grid?: [height: number, width: number] | undefined;
  /** Names of the latents' classes, where they have some. */
  classes?: string[] | undefined;
  statistics: () => Promise<ChannelStatistics>;
  digest: () => Promise<string>;
  /** What they depend on, for the protocol card. */
  card: Record<string, unknown>;
}

/**
 * The hidden states of a diffusion model on latents noised to one time, in memory.
 * @throws UserError where block, latents or labels do not fit the model, or the rows not into half of the memory.
 */
export async function openHiddenStates(spec: HiddenStatesSpec, options: HiddenStatesOptions): Promise<HiddenStates> {
  const { seed = 0, log, communicator = alone } = options;
  await startEngine();
  const diffusion = await openDiffusion(spec.run, { weights: spec.weights, heads: spec.heads, log });
  try {
    const layout = layoutOf(spec, diffusion.config);
    const latents = await openLatentsOf(spec, diffusion, options);
    try {
      const count = Math.min(options.limit ?? latents.images, latents.images);
      refuseMemory(spec, count, layout);
      const labels = conditionOf(spec, diffusion, latents, log);
      const noise = new RandomStream(seed).for('hidden states');
      const data = await computed(spec, diffusion, latents, { count, labels, noise, log, communicator });
      const name = spec.run;
      const rows = arrayRows(name, data, count, data.length / count, latents.source.labels?.slice(0, count));
      const card = cardOf(spec, diffusion, latents.digest, seed);
      return {
        ...layout,
        rows,
        classes: latents.source.classes,
        statistics: () => measuredStatistics(rows, layout, { communicator }),
        digest: () =>
          Promise.resolve(
            combinedDigest(Object.fromEntries(Object.entries(card).map(([key, value]) => [key, String(value)]))),
          ),
        card,
      };
    } finally {
      await latents.source.close();
    }
  } finally {
    diffusion.dispose();
  }
}

type Layout = Pick<HiddenStates, 'tokens' | 'channels' | 'grid'>;

function layoutOf({ run, block, tokens }: HiddenStatesSpec, config: NetworkConfig): Layout {
  const { depth, width, head } = config;
  const blocks = depth + (head?.depth ?? 0);
  if (block > blocks) throw new UserError(`${run}: block ${block} is beyond the last of its ${blocks} blocks`);
  const channels = head && block > depth ? head.width : width;
  return tokens === 'mean'
    ? { tokens: 1, channels }
    : { tokens: sequenceLength(config), channels, grid: tokenGrid(config) };
}

function refuseMemory({ run }: HiddenStatesSpec, rows: number, { tokens, channels }: Layout): void {
  const bytes = rows * tokens * channels * 4;
  if (bytes > totalmem() / 2)
    throw new UserError(
      `${run}: hidden states of ${rows} rows take ${Math.ceil(bytes / 2 ** 30)} GB of memory; tokens=mean keeps one vector of each, --limit fewer rows`,
      EXIT.failed,
    );
}

/** The latents as the model was trained on them; by default the very ones. */
async function openLatentsOf(
  spec: HiddenStatesSpec,
  diffusion: Diffusion,
  { dropNonfinite = false, nameless, log }: HiddenStatesOptions,
): Promise<NormalisedLatents> {
  const path = spec.latents ?? (await trainedOn(spec.run));
  const latents = await openFitting(
    diffusion,
    { latents: path, dropNonfinite, dtype: nameless, ownClasses: spec.labels === 'none' },
    log,
  );
  if (spec.latents === undefined && latents.digest !== diffusion.latents)
    log.warn(`${spec.run}: its latents, ${path}, are not what they were when it was trained on them`);
  return latents;
}

async function trainedOn(run: string): Promise<string> {
  const config = isRun(run) ? (await readRunConfig(run)).config : {};
  const { latents } = (config.options ?? {}) as { latents?: unknown };
  if (typeof latents === 'string') return latents;
  throw new UserError(`${run}: does not say which latents it was trained on; name some with latents=PATH`);
}

/** Which class the network is told of each row. */
function conditionOf(
  { run, labels }: HiddenStatesSpec,
  { config, labelDropout }: Diffusion,
  { source, label }: NormalisedLatents,
  log: Log,
): (row: number) => number {
  if (labels === 'none') {
    if (labelDropout === 0) log.warn(`${run}: was trained without label dropout, so its null class is untrained`);
    return () => config.classes;
  }
  if (!source.labels) throw unlabelled(source.name, 'labels=given');
  log.warn(`${run}: its hidden states are those of a network that was told the classes (labels=given)`);
  return label;
}

/** Rows that one pass of the network takes. */
const BATCH = 32;

interface Computing {
  count: number;
  labels: (row: number) => number;
  noise: RandomStream;
  log: Log;
  communicator: Communicator;
}

async function computed(
  { block, t, tokens, run }: HiddenStatesSpec,
  model: Diffusion,
  { read, width }: NormalisedLatents,
  { count, labels, noise, log, communicator }: Computing,
): Promise<Float32Array> {
  const share = shareOf(communicator, count, BATCH);
  const progress = log.progress(`hidden states of ${run}${ofRank(communicator)}`, share.end - share.start, 'rows');
  const shape = (n: number): [number, number, number] => [n, model.config.tokens, model.config.channels];
  const parts: Float32Array[] = [];
  try {
    for (let { start } = share; start < share.end; start += BATCH) {
      const rows = Int32Array.from({ length: Math.min(BATCH, share.end - start) }, (_, i) => start + i);
      const latents = await read(rows);
      const draws = new Float32Array(latents.length);
      rows.forEach((row, i) => draws.set(noise.at(row).normals(width), i * width));
      const states = tf.tidy(() => {
        const data = tf.tensor3d(latents, shape(rows.length));
        const batch = { data, noise: tf.tensor3d(draws, shape(rows.length)), labels: rows.map(labels) };
        const found = hiddenStatesAt(model, batch, t, block);
        return tokens === 'mean' ? found.mean(1) : found;
      });
      parts.push((await states.data()) as Float32Array);
      states.dispose();
      progress.update(start + rows.length - share.start);
    }
  } finally {
    progress.stop();
  }
  return await gathered(communicator, concatenated(Float32Array, parts));
}

const cardOf = (
  { weights, block, t, tokens, labels }: HiddenStatesSpec,
  { digest, step }: Diffusion,
  latents: string,
  seed: number,
): Record<string, unknown> => ({ model: digest, step: step ?? null, weights, block, t, tokens, labels, latents, seed });
