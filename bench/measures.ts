/* Measures of latents (diagnose --measure diffusability) from a folder on disk against PyTorch as published, SVD per class. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { RandomNumbers } from '../src/base/index.js';
import {
  cells,
  correlationDecay,
  frequencyEnergy,
  highFrequencyShare,
  localVersusDistant,
  overStandardised,
  pairProducts,
  radialSpectrum,
  tokenContrast,
  velocityVariance,
} from '../src/diagnose/diffusability/index.js';
import { startEngine } from '../src/engine/index.js';
import { createLatentsWriter, openLatents } from '../src/latents/index.js';
import { selectedRows } from '../src/rows/index.js';
import { measured, type Cost } from './helpers/cost.js';
import { openPython } from './helpers/peer.js';
import { csvOf, median, type Row } from './helpers/table.js';

/*
 * Both read the same shards, whose channel statistics are known, and take turns, so that other load on the machine
 * affects both equally. What takes one pass (SEC, power spectrum, LDS, CDS, RMSC) and VIV are timed apart; answers are
 * compared before a ratio is printed. Medians over the rounds, of which the peer, whose passes take minutes, takes part in
 * fewer. Memory is the peak of all that a process holds, its libraries included.
 */
const { values: flags } = parseArgs({
  options: {
    rows: { type: 'string', default: '50000' },
    classes: { type: 'string', default: '1000' },
    // VIV is timed on the rows of so many classes: the peer's time grows with them, and is long.
    'viv-classes': { type: 'string', default: '20' },
    channels: { type: 'string', default: '32' },
    side: { type: 'string', default: '16' },
    rounds: { type: 'string', default: '3' },
    'peer-rounds': { type: 'string', default: '2' },
    threads: { type: 'string', default: '2' },
    quick: { type: 'boolean', default: false },
    python: { type: 'string', default: process.env.MAETOK_BENCH_PYTHON ?? 'python3' },
  },
});
const [channels, side] = [flags.channels, flags.side].map(Number);
const [rows, classes] = flags.quick ? [400, 8] : [flags.rows, flags.classes].map(Number);
const [rounds, peerRounds] = flags.quick ? [1, 1] : [flags.rounds, flags['peer-rounds']].map(Number);
const tokens = side * side;
const vivClasses = flags.quick ? 2 : Number(flags['viv-classes']);

/** How far the answers may be apart, relative to the peer's float32. */
const TOLERANCE = 1e-3;
const BATCH = 500;

/** Latents with classes that differ by their means, and that change slowly over the grid. */
async function writeSpace(folder: string): Promise<void> {
  const random = new RandomNumbers(0, 'space');
  const centres = random.for('centres').normals(classes * channels);
  const writer = await createLatentsWriter(
    folder,
    { tokens, channels, grid: [side, side], meta: {} },
    { images: rows },
  );
  for (let start = 0; start < rows; start += BATCH) {
    const count = Math.min(BATCH, rows - start);
    const latents = random.at(start).normals(count * tokens * channels);
    const labels = Int32Array.from({ length: count }, (_, i) => (start + i) % classes);
    for (let i = 0; i < count; i++)
      for (let at = i * tokens * channels; at < (i + 1) * tokens * channels; at++) {
        const neighbour = at % (tokens * channels) < channels ? 0 : latents[at - channels];
        latents[at] = 0.5 * latents[at] + 0.7 * neighbour + 0.5 * centres[labels[i] * channels + (at % channels)] * 0.3;
      }
    await writer.append({ images: labels.map((_, i) => start + i), latents, labels });
  }
  await writer.finish();
}

type Answer = Record<string, number>;

async function onePass(folder: string): Promise<Answer> {
  const latents = await openLatents(folder);
  const grid = [side, side] as const;
  const [products, cosines, contrast] = [pairProducts('z', tokens), pairProducts('unit', tokens), tokenContrast()];
  const space = { rows: latents.rows(), tokens, channels };
  await overStandardised(space, await latents.statistics(), [products, cosines, contrast]);
  const energy = frequencyEnergy(products.mean(), grid);
  const ruler = cells();
  const distances = ruler.distances(grid);
  await latents.close();
  return {
    sec_25: highFrequencyShare(energy, grid, 0.25),
    sec_50: highFrequencyShare(energy, grid, 0.5),
    slope: radialSpectrum(energy, grid).slope,
    lds: localVersusDistant(cosines.mean(), distances, ruler)!,
    cds: correlationDecay(cosines.mean(), distances, ruler)!,
    rmsc: contrast.values.reduce((sum, value) => sum + value / rows, 0),
  };
}

async function velocities(folder: string): Promise<Answer> {
  const latents = await openLatents(folder);
  const all = latents.rows();
  const source = selectedRows(
    all,
    Int32Array.from(all.labels!.keys()).filter(row => all.labels![row] < vivClasses),
  );
  const space = { rows: source, tokens, channels };
  const { published, withinShare } = await velocityVariance(space, await latents.statistics(), source.labels!);
  await latents.close();
  return { viv: published, within_class_share: withinShare };
}

interface Measured extends Cost {
  answer: Answer;
}

const largest = (all: Measured[]): string => Math.max(...all.map(({ peak = NaN }) => peak)).toFixed(0);

const engine = await startEngine();
const folder = mkdtempSync(join(tmpdir(), 'maetok-bench-'));
const space = join(folder, 'latents');
await writeSpace(space);
const peer = await openPython<object, Measured>(
  flags.python,
  [fileURLToPath(new URL('measures.py', import.meta.url)), space, String(vivClasses), flags.threads],
  ['numpy', 'torch', 'safetensors'],
);
const WORKS = { 'one pass': onePass, VIV: velocities };
const table: Row[] = [];
for (const [name, work] of Object.entries(WORKS)) {
  const [ours, theirs]: Measured[][] = [[], []];
  for (let round = 0; round < rounds; round++) {
    const [answer, cost] = await measured(() => work(space));
    ours.push({ ...cost, answer });
    if (peer && round < peerRounds) theirs.push(await peer.ask(name));
  }
  const of = (all: Measured[], what: 'seconds' | 'cpu'): number => median(all.map(one => one[what]));
  const over = (what: 'seconds' | 'cpu'): string => (of(theirs, what) / of(ours, what)).toFixed(2);
  if (peer) requireAgreement(name, ours[0].answer, theirs[0].answer);
  table.push({
    work: name,
    seconds: of(ours, 'seconds').toFixed(2),
    peer_seconds: peer && of(theirs, 'seconds').toFixed(2),
    ratio: peer && over('seconds'),
    cpu_ratio: peer && over('cpu'),
    memory_mb: largest(ours),
    peer_memory_mb: peer && largest(theirs),
  });
}
peer?.end();
rmSync(folder, { recursive: true });
const size = `${((rows * tokens * channels * 4) / 1e6).toFixed(0)} MB`;
process.stderr.write(
  `${rows} latents of ${channels}×${side}×${side} (${size}) in ${classes} classes (VIV of ${vivClasses}), ` +
    `engine ${engine}, peer ${JSON.stringify(peer?.ready)}\n`,
);
process.stdout.write(csvOf(table));

function requireAgreement(name: string, ours: Answer, theirs: Answer): void {
  const apart = Object.entries(ours)
    .filter(([measure, value]) => !(Math.abs(value / theirs[measure] - 1) < TOLERANCE))
    .map(([measure, value]) => `${measure} ${value} here, ${theirs[measure]} there`);
  if (apart.length > 0) throw new Error(`${name}: ${apart.join('; ')}`);
}
