/* A Fréchet distance of two times 10,000 × 2,048 features, streamed, against SciPy's matrix square root. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { RandomNumbers } from '../src/base/index.js';
import { linearAlgebra, startEngine } from '../src/engine/index.js';
import { writeNpy } from '../src/io/index.js';
import { frechetDistance, gaussianBuilder, momentsOf } from '../src/metrics/index.js';
import { measured, type Cost } from './helpers/cost.js';
import { openPython } from './helpers/peer.js';
import { csvOf, median } from './helpers/table.js';

/*
 * Both start from the same float32 features, ours in batches of 64 rows as an extractor gives them, and take turns, so
 * that other load on the machine affects both equally. Medians over the rounds.
 */
const { values: flags } = parseArgs({
  options: {
    rows: { type: 'string', default: '10000' },
    width: { type: 'string', default: '2048' },
    rounds: { type: 'string', default: '3' },
    /** Few features and one round: whether everything runs, not how fast. */
    quick: { type: 'boolean', default: false },
    python: { type: 'string', default: process.env.MAETOK_BENCH_PYTHON ?? 'python3' },
  },
});
const [rows, width, rounds] = flags.quick ? [500, 128, 1] : [flags.rows, flags.width, flags.rounds].map(Number);
const BATCH = 64;
/** How far the distances may be apart, relative; the peer's square root of a matrix rounds. */
const TOLERANCE = 1e-3;

/** Features with the spectrum that networks give: a few strong directions and a long tail, all non-negative. */
function features(name: string, shift: number): Float32Array {
  const random = new RandomNumbers(0, name);
  const factors = 64;
  const loadings = new RandomNumbers(0, 'loadings').normals(factors * width);
  const out = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const z = random.at(0, row).normals(factors);
    const noise = random.at(1, row).normals(width);
    for (let i = 0; i < width; i++) {
      let value = shift + 0.3 * noise[i];
      for (let f = 0; f < factors; f += 8) value += (0.2 * z[f + (i & 7)] * loadings[f * width + i]) / (1 + f / 8);
      out[row * width + i] = Math.max(0, value);
    }
  }
  return out;
}

const moments = (data: Float32Array) => {
  const gaussian = gaussianBuilder(width);
  for (let start = 0; start < rows; start += BATCH) {
    const taken = Math.min(BATCH, rows - start);
    gaussian.add({ rows: taken, width, data: data.subarray(start * width, (start + taken) * width) });
  }
  return momentsOf(gaussian.result());
};

const engine = await startEngine();
const [sample, reference] = [features('sample', 0.35), features('reference', 0.3)];
const folder = mkdtempSync(join(tmpdir(), 'maetok-bench-'));
const paths = [join(folder, 'sample.npy'), join(folder, 'reference.npy')];
for (const [i, data] of [sample, reference].entries())
  await writeNpy(paths[i], { shape: [rows, width], dtype: 'float32', data });

interface Measured extends Cost {
  value: number;
}

const script = fileURLToPath(new URL('evaluate.py', import.meta.url));
const peer = await openPython<object, Measured>(flags.python, [script], ['numpy', 'scipy']);
const [ours, theirs]: Measured[][] = [[], []];
for (let round = 0; round < rounds; round++) {
  const [value, cost] = await measured(() => frechetDistance(moments(sample), moments(reference)));
  ours.push({ ...cost, value });
  if (peer) theirs.push(await peer.ask(paths.join(' ')));
}
peer?.end();
rmSync(folder, { recursive: true });

process.stderr.write(`engine ${engine}, ${linearAlgebra().name}, peer ${JSON.stringify(peer?.ready)}\n`);
const of = (side: Measured[], what: 'seconds' | 'cpu'): number => median(side.map(one => one[what]));
const over = (what: 'seconds' | 'cpu'): string => (of(theirs, what) / of(ours, what)).toFixed(2);
const largest = (side: Measured[]): number => Math.max(...side.map(({ peak = NaN }) => peak));
const difference = peer && Math.abs(ours[0].value / theirs[0].value - 1);
if (difference !== undefined && !(difference < TOLERANCE))
  throw new Error(`the distance is ${ours[0].value} here, ${theirs[0].value} there`);
const row = {
  work: `Fréchet distance, 2 × ${rows} features of ${width}`,
  seconds: of(ours, 'seconds'),
  peer_seconds: peer && of(theirs, 'seconds'),
  ratio: peer && over('seconds'),
  cpu_ratio: peer && over('cpu'),
  peak_mb: largest(ours),
  peer_peak_mb: peer && largest(theirs),
  difference,
};
process.stdout.write(csvOf([row]));
