/* UMAP in the plane against umap-js and umap-learn: seconds, and how well neighbourhoods are preserved, by one measure. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { UMAP } from 'umap-js';
import { RandomNumbers } from '../src/base/index.js';
import { startEngine } from '../src/engine/index.js';
import { nearestNeighbours, type Neighbours } from '../src/neighbours/index.js';
import { asFloat32, readNpy, writeNpy } from '../src/io/index.js';
import { arrayRows, selectedRows, type RowSource } from '../src/rows/index.js';
import { planarStart } from '../src/pca/planar-start.js';
import { sampleOf } from '../src/rows/sample.js';
import { openLatents } from '../src/latents/index.js';
import { embeddingQuality, umap } from '../src/umap/index.js';
import { clusteredRows } from './helpers/clusters.js';

/*
 * All start from two principal components of the same rows. Ours and umap-js are given the same exact neighbours, so only
 * the graph and the layout are timed, on one thread each, in processor seconds, which other work on the machine
 * does not affect. umap-learn finds its own neighbours; its seconds are wall-clock time.
 */
const { values: flags } = parseArgs({
  options: {
    latents: { type: 'string' },
    rows: { type: 'string', default: '5000,50000' },
    width: { type: 'string', default: '128' },
    neighbours: { type: 'string', default: '15' },
    queries: { type: 'string', default: '2000' },
    quick: { type: 'boolean', default: false },
    python: { type: 'string', default: process.env.MAETOK_BENCH_PYTHON ?? 'python3' },
  },
});

await startEngine();
const random = new RandomNumbers(0);
const k = Number(flags.neighbours) - 1;
const sizes = flags.quick ? [1000] : flags.rows.split(',').map(Number);
const all = await source(Math.max(...sizes), Number(flags.width));
process.stdout.write('rows,width,program,neighbours_seconds,layout_seconds,trustworthiness,continuity\n');
for (const rows of sizes) await compare(rows);

/** Latents, or clusters. */
async function source(rows: number, width: number): Promise<RowSource> {
  if (flags.latents !== undefined) return (await openLatents(flags.latents)).rows();
  return arrayRows('clusters', clusteredRows(rows, width, random), rows, width);
}

async function compare(count: number): Promise<void> {
  const chosen = Int32Array.from({ length: Math.min(count, all.rows) }, (_, row) => row);
  const { rows, width, data } = await sampleOf(selectedRows(all, chosen), chosen);
  const began = performance.now();
  const neighbours = await nearestNeighbours(data, rows, width, k);
  const search = (performance.now() - began) / 1000;
  const start = await planarStart(data, rows, width);
  const judge = async (program: string, searching: number | string, seconds: number, points: Float32Array) => {
    const { trustworthiness, continuity } = await embeddingQuality(data, points, {
      k: Number(flags.neighbours),
      queries: Number(flags.queries),
      random,
    });
    process.stdout.write(
      `${[rows, width, program, searching, seconds.toFixed(2), trustworthiness.toFixed(4), continuity.toFixed(4)].join(',')}\n`,
    );
  };
  const ours = await processorSeconds(() => umap(neighbours, start, { random }));
  await judge('maetok', search.toFixed(2), ours.seconds, ours.points);
  const theirs = await processorSeconds(() => umapJs(neighbours, start, rows));
  await judge('umap-js', search.toFixed(2), theirs.seconds, theirs.points);
  const learned = await umapLearn(data, start, rows, width);
  if (learned) await judge('umap-learn', '', learned.seconds, learned.points);
}

async function processorSeconds(work: () => Promise<Float32Array> | Float32Array) {
  const began = process.cpuUsage();
  const points = await work();
  return { points, seconds: process.cpuUsage(began).user / 1e6 };
}

function umapJs({ k: found, rows: lists, values }: Neighbours, start: Float32Array, rows: number): Float32Array {
  const words = random.for('umap-js').words(1 << 16);
  let next = 0;
  const map = new UMAP({ nNeighbors: found + 1, random: () => words[next++ & 0xffff] / 2 ** 32 });
  // Its lists begin with the row itself.
  const perRow = <T>(own: (i: number) => T, other: (at: number) => T): T[][] =>
    Array.from({ length: rows }, (_, i) => [own(i), ...Array.from({ length: found }, (_, j) => other(i * found + j))]);
  map.setPrecomputedKNN(
    perRow(
      i => i,
      at => lists[at],
    ),
    perRow(
      () => 0,
      at => values[at],
    ),
  );
  const epochs = map.initializeFit(Array.from({ length: rows }, (_, i) => [i]));
  // It offers a random start only; the points that it returns are the ones that it moves.
  const largest = start.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  map.getEmbedding().forEach((point, i) => {
    point[0] = (10 * start[2 * i]) / largest;
    point[1] = (10 * start[2 * i + 1]) / largest;
  });
  for (let epoch = 0; epoch < epochs; epoch++) map.step();
  return Float32Array.from(map.getEmbedding().flat());
}

async function umapLearn(data: Float32Array, start: Float32Array, rows: number, width: number) {
  const folder = mkdtempSync(join(tmpdir(), 'maetok-bench-'));
  try {
    await writeNpy(join(folder, 'data.npy'), { shape: [rows, width], dtype: 'float32', data });
    await writeNpy(join(folder, 'start.npy'), { shape: [rows, 2], dtype: 'float32', data: start });
    const script = fileURLToPath(new URL('umap-learn.py', import.meta.url));
    const { status, stdout, stderr } = spawnSync(flags.python, [script, folder, flags.neighbours], {
      encoding: 'utf8',
    });
    if (status !== 0) {
      process.stderr.write(`umap-learn is left out: ${stderr.trim().split('\n').at(-1) ?? 'no Python'}\n`);
      return undefined;
    }
    return { points: asFloat32((await readNpy(join(folder, 'points.npy'))).data), seconds: Number(stdout) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
