import { setImmediate } from 'node:timers/promises';
import { EXIT, inPhase, RandomNumbers, UserError, type Log } from '../../base/index.js';
import { alone, byFirst, type Communicator } from '../../distributed/index.js';
import { nearestNeighbours, type Neighbours } from '../../neighbours/index.js';
import { randomRows, sampleOf, type RowSource } from '../../rows/index.js';
import { embeddingQuality, tsne, umap, type Quality } from '../../umap/index.js';
import { planarStart } from '../../pca/index.js';
import type { EmbeddingMethod } from '../../umap/names.js';

export interface EmbeddingSettings {
  methods: readonly EmbeddingMethod[];
  /** UMAP's neighbours, the row itself counted, and those that trustworthiness looks at. */
  neighbours: number;
  minDist: number;
  /** UMAP's passes; absent: 500, beyond 10,000 rows 200. */
  epochs?: number | undefined;
  perplexity: number;
  /** Of t-SNE. */
  iterations: number;
  /** Rows at most, drawn by seed. */
  sample: number;
  seed: number;
}

/** One latent space in the plane. */
export interface Embedding extends Quality {
  source: string;
  method: EmbeddingMethod;
  /** Which rows, ascending, and where they are: [rows, 2]. */
  rows: Int32Array;
  points: Float32Array;
  seconds: number;
}

export interface EmbeddingContext {
  log: Log;
  signal?: AbortSignal | undefined;
  /** Ranks that have the same source and get the same embeddings: they divide the search for neighbours. Default: one process. */
  communicator?: Communicator | undefined;
}

/** How many rows' neighbourhoods are compared to assess an embedding. */
const QUERIES = 2000;
/** t-SNE looks at this many neighbours for each that counts in full. */
const REACH = 3;

/** Embeddings of one latent space, all of the same rows and from the same start: two principal components. */
export async function embeddingsOf(
  source: RowSource,
  settings: EmbeddingSettings,
  context: EmbeddingContext,
): Promise<Embedding[]> {
  const { methods, sample: most, neighbours: k, seed } = settings;
  const { log, communicator = alone } = context;
  if (source.rows <= k + 1)
    throw new UserError(`${source.name}: has ${source.rows} rows; embeddings with --neighbours ${k} need ${k + 2}`);
  const chosen = randomRows(source.rows, most, seed);
  const sample = await sampleOf(source, chosen, communicator);
  const { rows, width, data } = sample;
  const start = await planarStart(data, rows, width, {
    tell: missing => log.warn(`${source.name}: pca: ${missing}`),
    communicator,
  });
  const reach = Math.max(...methods.map(method => METHODS[method].reach(settings)));
  const search = { label: `${source.name}: ${reach} nearest neighbours`, total: rows, unit: 'rows' };
  const lists =
    reach > 0 ? await inPhase(log, search, () => nearestNeighbours(data, rows, width, reach, communicator)) : undefined;
  const random = new RandomNumbers(seed);
  const embeddings: Embedding[] = [];
  for (const method of methods) {
    const task = { name: source.name, lists, start, settings, context, random };
    const { points, seconds } = await laidOut(method, task, communicator);
    const quality = await embeddingQuality(data, points, { k, queries: QUERIES, random, communicator });
    log.note(
      `${source.name}: ${method}: trustworthiness ${quality.trustworthiness.toFixed(3)}, continuity ${quality.continuity.toFixed(3)} (k = ${k}), ${seconds.toFixed(0)} s`,
    );
    embeddings.push({ source: source.name, method, rows: chosen, points, seconds, ...quality });
  }
  return embeddings;
}

/** Each step of a layout depends on the one before, which leaves nothing to divide: rank 0 takes them all. */
async function laidOut(
  method: EmbeddingMethod,
  task: Task,
  communicator: Communicator,
): Promise<{ points: Float32Array; seconds: number }> {
  let points: Float32Array = new Float32Array(task.start.length);
  const seconds = await byFirst(communicator, async () => {
    const began = performance.now();
    points = await METHODS[method].embed(task);
    return (performance.now() - began) / 1000;
  });
  await communicator.broadcast(points);
  return { points, seconds };
}

interface Task {
  name: string;
  /** Absent where no method looks at neighbours. */
  lists: Neighbours | undefined;
  start: Float32Array;
  settings: EmbeddingSettings;
  context: EmbeddingContext;
  random: RandomNumbers;
}

interface Method {
  /** Neighbours of each row that it looks at. */
  reach: (settings: EmbeddingSettings) => number;
  embed: (task: Task) => Promise<Float32Array>;
}

const METHODS: Record<EmbeddingMethod, Method> = {
  umap: {
    reach: ({ neighbours }) => neighbours - 1,
    async embed({ name, lists, start, settings, context, random }) {
      const { minDist, epochs } = settings;
      const onEpoch = shownSteps(`${name}: UMAP`, 'epochs', context);
      const near = nearest(lists!, METHODS.umap.reach(settings));
      return await umap(near, start, { minDist, epochs, random: random.for('umap'), onEpoch });
    },
  },
  tsne: {
    reach: ({ perplexity }) => REACH * perplexity,
    async embed({ name, lists, start, settings, context, random }) {
      const { perplexity, iterations } = settings;
      const onIteration = shownSteps(`${name}: t-SNE`, 'iterations', context);
      const near = nearest(lists!, METHODS.tsne.reach(settings));
      return await tsne(near, start, { perplexity, iterations, random: random.for('tsne'), onIteration });
    },
  },
  pca: { reach: () => 0, embed: ({ start }) => Promise.resolve(start) },
};

/** The first of every row's neighbours. */
function nearest(lists: Neighbours, wanted: number): Neighbours {
  const k = Math.min(wanted, lists.k);
  if (k === lists.k) return lists;
  const kept = (_: number, at: number): boolean => at % lists.k < k;
  return { k, rows: lists.rows.filter(kept), values: lists.values.filter(kept) };
}

/** Shows progress, and gives Ctrl-C its turn between two steps of a loop that never waits. */
function shownSteps(label: string, unit: string, { log, signal }: EmbeddingContext) {
  let progress: ReturnType<Log['progress']> | undefined;
  return async (done: number, total: number): Promise<void> => {
    progress ??= log.progress(label, total, unit);
    progress.update(done);
    await setImmediate();
    if (done === total || signal?.aborted) progress.stop();
    if (signal?.aborted) throw new UserError('interrupted; nothing was written', EXIT.interrupted);
  };
}
