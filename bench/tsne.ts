/* t-SNE in the plane against openTSNE: seconds of each at its own defaults, and the divergence that each arrives at. */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { RandomNumbers } from '../src/base/index.js';
import { startEngine } from '../src/engine/index.js';
import { asFloat32, readNpy, writeNpy } from '../src/io/index.js';
import { nearestNeighbours } from '../src/neighbours/index.js';
import { planarStart } from '../src/pca/planar-start.js';
import { affinities } from '../src/umap/affinities.js';
import type { Edges } from '../src/umap/graph.js';
import { tsne } from '../src/umap/index.js';
import { clusteredRows } from './helpers/clusters.js';
import { measured, type Cost } from './helpers/cost.js';
import { openPython } from './helpers/peer.js';
import { csvOf, median } from './helpers/table.js';

/*
 * Both take turns, on all processors, at perplexity 30, 250 iterations with exaggeration and 500 without: `search` is from
 * rows to affinities (ours of exact neighbours; openTSNE's are approximate from 1000 rows on), `layout` all that follows. The
 * divergences are computed by one function from the same exact affinities and all pairs of points; ratios are printed
 * where ours is at most two hundredths above. Medians over the rounds.
 */
const { values: flags } = parseArgs({
  options: {
    rows: { type: 'string', default: '10000' },
    width: { type: 'string', default: '64' },
    rounds: { type: 'string', default: '3' },
    quick: { type: 'boolean', default: false },
    python: { type: 'string', default: process.env.MAETOK_BENCH_PYTHON ?? 'python3' },
  },
});
const rows = flags.quick ? 1500 : Number(flags.rows);
const width = Number(flags.width);
const rounds = flags.quick ? 1 : Number(flags.rounds);
const PERPLEXITY = 30;
const TOLERANCE = 1.02;

type Stages = Record<'search' | 'layout', Cost>;

const search = async () => {
  const neighbours = await nearestNeighbours(data, rows, width, 3 * PERPLEXITY);
  return { neighbours, edges: affinities(neighbours, PERPLEXITY) };
};

/** Σ p log (p / q) over the edges, q normalised over all pairs. */
function divergence({ head, tail, weight }: Edges, points: Float32Array): number {
  const similarity = (i: number, j: number): number => {
    const [dx, dy] = [points[2 * i] - points[2 * j], points[2 * i + 1] - points[2 * j + 1]];
    return 1 / (1 + dx * dx + dy * dy);
  };
  let [total, sum] = [0, 0];
  for (let i = 0; i < rows; i++) for (let j = 0; j < i; j++) total += 2 * similarity(i, j);
  for (let at = 0; at < head.length; at++)
    sum += weight[at] * Math.log((weight[at] * total) / similarity(head[at], tail[at]));
  return sum;
}

const engine = await startEngine();
const data = clusteredRows(rows, width, new RandomNumbers(0));
const folder = mkdtempSync(join(tmpdir(), 'maetok-bench-'));
await writeNpy(join(folder, 'data.npy'), { shape: [rows, width], dtype: 'float32', data });
const threads = availableParallelism();
const script = fileURLToPath(new URL('tsne.py', import.meta.url));
const peer = await openPython<object, Stages>(
  flags.python,
  [script, folder, String(threads)],
  ['numpy', 'openTSNE'],
  // On a busy machine its threads would else spend most of their time waiting for each other: eight times as long.
  { OMP_WAIT_POLICY: 'passive' },
);
const [ours, theirs]: Stages[][] = [[], []];
const [own, others]: number[][] = [[], []];
for (let round = 0; round < rounds; round++) {
  const [{ neighbours, edges }, searched] = await measured(search);
  // It computes the affinities again, to our disadvantage.
  const [points, laidOut] = await measured(async () =>
    tsne(neighbours, await planarStart(data, rows, width), {
      perplexity: PERPLEXITY,
      random: new RandomNumbers(round),
    }),
  );
  ours.push({ search: searched, layout: laidOut });
  own.push(divergence(edges, points));
  if (!peer) continue;
  theirs.push(await peer.ask('embed'));
  others.push(divergence(edges, asFloat32((await readNpy(join(folder, 'points.npy'))).data)));
}
peer?.end();
rmSync(folder, { recursive: true });

const [kl, peerKl] = [median(own), median(others)];
process.stderr.write(`${rows} × ${width}, ${threads} threads, engine ${engine}, peer ${JSON.stringify(peer?.ready)}\n`);
if (peer && !(kl <= TOLERANCE * peerKl)) throw new Error(`the divergence is ${kl} here, ${peerKl} there`);
type Spent = 'seconds' | 'cpu';
const STAGES: Record<string, (stages: Stages, what: Spent) => number> = {
  search: ({ search }, what) => search[what],
  layout: ({ layout }, what) => layout[what],
  both: ({ search, layout }, what) => search[what] + layout[what],
};
const table = Object.entries(STAGES).map(([stage, of]) => {
  const middle = (all: Stages[], what: Spent): number => median(all.map(stages => of(stages, what)));
  const ratio = (what: Spent): string => (middle(theirs, what) / middle(ours, what)).toFixed(2);
  const peak = (all: Stages[]): number =>
    Math.max(...all.flatMap(each => [each.search, each.layout]).map(({ peak = NaN }) => peak));
  return {
    stage,
    seconds: middle(ours, 'seconds'),
    peer_seconds: peer && middle(theirs, 'seconds'),
    ratio: peer && ratio('seconds'),
    cpu_ratio: peer && ratio('cpu'),
    peak_mb: peak(ours),
    peer_peak_mb: peer && peak(theirs),
    divergence: kl,
    peer_divergence: peerKl,
  };
});
process.stdout.write(csvOf(table));
