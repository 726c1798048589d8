/* Several ranks against one: EM, training and sums, on one machine and over a link; training against PyTorch DDP there. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { quoted } from '../src/base/index.js';
import { pythonHas } from './helpers/peer.js';
import { csvOf, median } from './helpers/table.js';
import { hostsOrReason, type Hosts } from './scale/hosts.js';
import { measured, rankOf, script, type WorkName } from './scale/start.js';
import { ACCUMULATE, diffusion, peerCase, prepare, UPDATES, type Measured } from './scale/works.js';

/*
 * Every rank has one core, of one machine or, over the link, of two network namespaces joined by 1 Gbit/s each way. The sides of a row
 * take turns, run by run; a ratio is of medians over the runs, each the median over the steps of a run, and is printed only
 * once the sides' answers agree. The link needs root; without it its rows are left out with a word.
 */
const { values: flags } = parseArgs({
  options: {
    /** Rows to measure, by the beginning of their names; default all. */
    only: { type: 'string' },
    runs: { type: 'string' },
    quick: { type: 'boolean', default: false },
    python: { type: 'string', default: process.env.MAETOK_BENCH_PYTHON ?? 'python3' },
  },
});

const runs = Number(flags.runs ?? (flags.quick ? 1 : 3));
const folder = mkdtempSync(join(tmpdir(), 'maetok-scale-'));
const worker = (work: WorkName): string[] => rankOf(work, { folder, quick: flags.quick });
const ONE = ['taskset', '-c', '0'];
const TWO = ['mpirun.openmpi', '-np', '2', '--bind-to', 'core'];

interface Row {
  name: string;
  /** What the ratio is over. */
  over: string;
  ours: string[];
  theirs: string[];
  /** Largest difference of the answers, relative. */
  tolerance: number;
  atLeast: number;
}

/** A work on two ranks against one, whose answers differ by rounding at most. */
const rowOf = (name: string, work: WorkName, two: string[], atLeast: number): Row => ({
  name,
  over: '1 rank',
  ours: [...two, ...worker(work)],
  theirs: [...ONE, ...worker(work)],
  tolerance: work === 'em' ? 1e-10 : 1e-5,
  atLeast,
});

const rowsOnOneMachine = (): Row[] => [
  rowOf('EM, 2 ranks', 'em', TWO, 1.85),
  rowOf('tokenizer step, 2 ranks', 'tokenizer', TWO, 1.85),
];

function rowsOverLink(hosts: Hosts): Row[] {
  return [
    rowOf('EM, 2 hosts', 'em', hosts.mpirun(), 1.7),
    rowOf('diffusion step, 2 hosts', 'diffusion', hosts.mpirun(), 1.5),
    ...compiledSum(hosts),
    ...ddp(hosts),
  ];
}

function compiledSum(hosts: Hosts): Row[] {
  const program = join(folder, 'allreduce');
  const { status } = spawnSync('mpicc.openmpi', ['-O2', '-o', program, script('allreduce.c')], { stdio: 'inherit' });
  if (status !== 0) {
    leftOut('the sum in C is', 'no mpicc.openmpi (`apt install libopenmpi-dev`)');
    return [];
  }
  const ours = [...hosts.mpirun(), ...worker('allreduce')];
  const theirs = [...hosts.mpirun(), program, String(flags.quick ? 1 << 16 : 22 << 20), '9'];
  return [{ name: 'sum of 88 MB, 2 hosts', over: 'the same in C', ours, theirs, tolerance: 0, atLeast: 0.9 }];
}

/** PyTorch's own scaling, to compare with that of the diffusion step, whose numbers it shares; and the two on two hosts. */
function ddp(hosts: Hosts): Row[] {
  if (!pythonHas(flags.python, ['torch', 'safetensors'])) return [];
  const { config } = diffusion(flags.quick);
  const peer = [
    flags.python,
    script('ddp.py'),
    peerCase(folder),
    JSON.stringify(config),
    `${ACCUMULATE}`,
    `${UPDATES}`,
  ];
  const env = ['env', 'WORLD_SIZE=2', `MASTER_ADDR=${hosts.addresses[0]}`, 'MASTER_PORT=29511'];
  const rank = (host: number): string[] => [
    ...hosts.on(host),
    ...env,
    `RANK=${host}`,
    `GLOO_SOCKET_IFNAME=v${host}`,
    ...peer,
  ];
  const typed = (words: string[]): string => words.map(quoted).join(' ');
  const both = ['sh', '-c', `${typed(rank(1))} & ${typed(rank(0))} && wait $!`];
  return [
    {
      name: 'PyTorch DDP, 2 hosts',
      over: 'PyTorch, 1 process',
      ours: both,
      theirs: [...ONE, ...peer],
      tolerance: 1e-4,
      atLeast: 0,
    },
    {
      name: 'diffusion step, 2 hosts',
      over: 'PyTorch DDP, 2 hosts',
      ours: [...hosts.mpirun(), ...worker('diffusion')],
      theirs: both,
      tolerance: 1e-3,
      atLeast: 0,
    },
  ];
}

function measure({ name, over, ours, theirs, tolerance, atLeast }: Row): Record<string, string | number> {
  const found = { ours: [] as Measured[], theirs: [] as Measured[] };
  for (let run = 0; run < runs; run++) {
    found.theirs.push(measured(theirs));
    found.ours.push(measured(ours));
  }
  const [own, other] = [found.ours[0].answer, found.theirs[0].answer];
  const difference = Math.abs(own - other) / Math.max(Math.abs(other), 1e-300);
  if (!(difference <= tolerance)) throw new Error(`${name}: the answers differ: ${own} and ${other}`);
  const secondsOf = (side: Measured[]): number => median(side.map(({ seconds }) => seconds));
  const ratios = found.ours.map(({ seconds }, i) => found.theirs[i].seconds / seconds);
  return {
    row: name,
    over,
    ratio: (secondsOf(found.theirs) / secondsOf(found.ours)).toFixed(2),
    low: Math.min(...ratios).toFixed(2),
    high: Math.max(...ratios).toFixed(2),
    at_least: atLeast,
    seconds: secondsOf(found.ours).toPrecision(3),
    seconds_other: secondsOf(found.theirs).toPrecision(3),
    difference: difference.toExponential(1),
  };
}

const leftOut = (what: string, why: string): void => void process.stderr.write(`scale: ${what} left out: ${why}\n`);

function oneMachine(use: () => void): void {
  if (availableParallelism() < 2) leftOut('two ranks on one machine are', 'they need two cores');
  else if (spawnSync(TWO[0], ['--version']).status !== 0) leftOut('two ranks on one machine are', `no ${TWO[0]}`);
  else use();
}

function twoHosts(use: (hosts: Hosts) => void): void {
  const hosts = hostsOrReason();
  if (typeof hosts === 'string') {
    leftOut('two hosts are', hosts);
    return;
  }
  try {
    hosts.limit(1);
    use(hosts);
  } finally {
    hosts.close();
  }
}

await prepare({ folder, quick: flags.quick });
const measurements: Record<string, string | number>[] = [];
const wanted = ({ name }: Row): boolean => flags.only === undefined || name.startsWith(flags.only);
const add = (rows: Row[]): void =>
  rows.filter(wanted).forEach(row => {
    measurements.push(measure(row));
    process.stderr.write(`${JSON.stringify(measurements.at(-1))}\n`);
  });
try {
  oneMachine(() => add(rowsOnOneMachine()));
  twoHosts(hosts => add(rowsOverLink(hosts)));
  if (measurements.length > 0) process.stdout.write(csvOf(measurements));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
