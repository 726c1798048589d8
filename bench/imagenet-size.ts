/* ImageNet's latents: a planted mixture of 1.28 M × 4096 in float16 on disk, and `analyze-gmm` of it from there. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { availableCores, RandomNumbers } from '../src/base/index.js';
import { startEngine } from '../src/engine/index.js';
import { loadMixture, logDensities, parameterCount } from '../src/gmm/index.js';
import { openLatents } from '../src/latents/index.js';
import { reducedRows } from '../src/pca/index.js';
import { selectedRows, splitRows } from '../src/rows/index.js';
import { measured } from './helpers/cost.js';
import { csvOf, type Row } from './helpers/table.js';
import { phases, type Phase } from './imagenet-size/phases.js';
import { planted, reducedPlanted, widthOf, type Plan } from './imagenet-size/planted.js';
import { watched } from './imagenet-size/process.js';
import { writeRows } from './imagenet-size/rows.js';
import { H200, operationsOf, type Sizes } from './imagenet-size/work.js';

/*
 * `--part 1/16` takes so many of the rows. Everything lies in `--folder`, which is kept: rows (10.5 GB of all), the sweep's state, its
 * mixtures and what each phase took; without one, in a temporary folder. The same command goes on where it was interrupted: a fit's
 * seconds are summed over all runs, other phases are reported as they were last. The product itself is run, as `npm run setup` built it.
 */
const { values: flags } = parseArgs({
  options: {
    folder: { type: 'string' },
    part: { type: 'string', default: '1' },
    components: { type: 'string', default: '50,100,200' },
    memory: { type: 'string', default: '6GB' },
    'max-iter': { type: 'string', default: '100' },
    quick: { type: 'boolean', default: false },
  },
});

const ROWS = 1_280_000;
const SEED = 0;
const SPLIT = 0.8;
const [share, of = 1] = flags.part.split('/').map(Number);
const plan: Plan = flags.quick
  ? { rows: 4096, tokens: 16, channels: 16, axes: 24, components: 4 }
  : { rows: Math.round((ROWS * share) / of), tokens: 128, channels: 32, axes: 320, components: 50 };
const components = flags.quick ? [2, 4] : flags.components.split(',').map(Number);

const folder =
  flags.folder === undefined
    ? await mkdtemp(join(tmpdir(), 'maetok-imagenet-size-'))
    : join(flags.folder, flags.quick ? 'quick' : `rows-${plan.rows}`);
const within = (name: string): string => join(folder, name);
const modelOf = (count: number): string => within(`models/planted-k${count}.npz`);
const random = new RandomNumbers(SEED, 'imagenet-size');

const log = within('phases.jsonl');

const mixture = planted(plan, random.for('mixture'));

if ((await startEngine()) === 'native') await run();
else process.stderr.write('imagenet-size: left out, since it needs the native engine (`maetok engine install`)\n');

async function run(): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await write();
    await analyse();
    process.stdout.write(csvOf(phaseRows()));
    process.stdout.write(`\n${csvOf(await likelihoodRows())}`);
  } finally {
    if (flags.folder === undefined) await rm(folder, { recursive: true, force: true });
  }
}

/** Notes what a phase took, beside what those of earlier runs did. */
function record(phase: Phase): void {
  const line = JSON.stringify(phase);
  appendFileSync(log, `${line}\n`);
  process.stderr.write(`${line}\n`);
}

async function write(): Promise<void> {
  if (existsSync(within('latents/latents.json'))) return;
  const [, cost] = await measured(() => writeRows(within('latents'), mixture, random.for('rows')));
  record({ name: 'write', seconds: cost.seconds, peak: cost.peak ?? 0, read: 0 });
}

async function analyse(): Promise<void> {
  const program = fileURLToPath(new URL('../bin/maetok.js', import.meta.url));
  const words = ['analyze-gmm', `planted=${within('latents')}`, '--components', components.join(), '--restarts', '1'];
  const places = ['--state', within('state'), '--save-model', within('models'), '--out', within('nll.csv')];
  const rest = [
    '--split',
    String(SPLIT),
    '--memory',
    flags.memory,
    '--max-iter',
    flags['max-iter'],
    '--force',
    '--json',
  ];
  await watched(process.execPath, [program, ...words, ...places, ...rest], phases(record));
}

/** The table of the product, a record a row. */
function table(): Record<string, string>[] {
  const [names, ...rows] = readFileSync(within('nll.csv'), 'utf8')
    .trim()
    .split('\n')
    .map(line => line.split(','));
  return rows.map(cells => Object.fromEntries(names.map((name, i) => [name, cells[i]])));
}

function sizes(): Sizes {
  const [{ train_rows, heldout_rows, dims }] = table();
  const [trainRows, heldoutRows] = [Number(train_rows), Number(heldout_rows)];
  return { trainRows, heldoutRows, width: widthOf(plan), dims: Number(dims) };
}

/** A phase as it was when it was last done; of a fit's the sum over all runs. */
function phaseRows(): Row[] {
  const found = new Map<string, Phase>();
  for (const line of readFileSync(log, 'utf8').trim().split('\n')) {
    const phase = JSON.parse(line) as Phase;
    const key = `${phase.name} ${phase.components ?? ''}`;
    const former = found.get(key);
    found.set(key, phase.components !== undefined && former ? joined(former, phase) : phase);
  }
  const all = sizes();
  return [...found.values()].map(phase => {
    const { name, seconds, peak, read, iterations } = phase;
    const operations = operationsOf(phase, all);
    const rate = operations ? operations / seconds / 1e9 : undefined;
    return {
      phase: name,
      components: phase.components,
      seconds: seconds.toFixed(1),
      iterations,
      seconds_per_iteration: iterations ? (seconds / iterations).toFixed(3) : undefined,
      gigabytes_read: (read / 1e9).toFixed(2),
      textbook_gflop: operations === undefined ? undefined : (operations / 1e9).toPrecision(4),
      textbook_gflop_per_second: rate?.toFixed(0),
      peak_megabytes: peak.toFixed(0),
      h200_seconds: operations === undefined ? undefined : (operations / H200).toPrecision(3),
    };
  });
}

function joined(a: Phase, b: Phase): Phase {
  return {
    ...b,
    ...(a.iterations !== undefined && b.iterations !== undefined && { iterations: a.iterations + b.iterations }),
    seconds: a.seconds + b.seconds,
    peak: Math.max(a.peak, b.peak),
    read: a.read + b.read,
  };
}

/**
 * The NLL of each fit's held-out rows beside that of the planted mixture, of the same rows in the same space. Whatever finds the
 * likeliest mixture of so many parameters from so many rows is above the truth by about parameters / (2 rows) (Wilks 1938).
 */
async function likelihoodRows(): Promise<Row[]> {
  const { trainRows, dims } = sizes();
  const { space } = await loadMixture(modelOf(components[0]));
  const latents = await openLatents(within('latents'));
  const all = latents.rows();
  const heldout = selectedRows(all, splitRows(all.rows, SPLIT, SEED).heldout);
  const truth = reducedPlanted(mixture, space!);
  const options = { memory: 3e9, threads: availableCores() };
  const { mean } = await logDensities(truth, reducedRows(space!, heldout), options);
  await latents.close();
  const rows: Row[] = [];
  for (const row of table()) {
    const [count, nll] = [Number(row.components), Number(row.nll)];
    const relative = (excess: number): string => (excess / -mean).toExponential(2);
    const fitted = await loadMixture(modelOf(count));
    const expected = parameterCount(fitted.mixture) / (2 * trainRows);
    rows.push({
      components: count,
      dims,
      converged: row.converged,
      iterations: row.iterations,
      nll,
      train_nll: Number(row.train_nll),
      nll_planted: -mean,
      relative: relative(nll + mean),
      relative_by_parameters: relative(expected),
    });
  }
  return rows;
}
