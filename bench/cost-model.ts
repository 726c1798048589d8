/* What 2 to 4 hosts should take by what one host and one link were measured to do, and what they take; with --paper, what more would. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { csvOf, median, type Row } from './helpers/table.js';
import { hostsOrReason, type Hosts } from './scale/hosts.js';
import { costsOf, exchangeSeconds, linkOf, predicted, type Costs, type Link } from './scale/model.js';
import { emOnPaper, trainingOnPaper } from './scale/paper.js';
import { measured, rankOf, type WorkName } from './scale/start.js';
import { MANY, prepare, type Measured } from './scale/works.js';

/*
 * Hosts are network namespaces on a switch of 1 Gbit/s, each with 0.45 of a core, so that four fit on two cores. The model
 * knows the work of one host, all of it and a little of it, and sums of two hosts; nothing is fitted to what it predicts. Runs
 * take turns; seconds are medians over runs of each run's median, and low and high the least and the most of these. Needs root.
 *
 * --paper measures one whole core instead and works out ImageNet's latents on nodes of --cores cores and a link of --gigabits and
 * --latency seconds, which are taken from elsewhere.
 */
const { values: flags } = parseArgs({
  options: {
    runs: { type: 'string' },
    quick: { type: 'boolean', default: false },
    paper: { type: 'boolean', default: false },
    cores: { type: 'string', default: '32' },
    gigabits: { type: 'string', default: '25' },
    latency: { type: 'string', default: '3e-5' },
  },
});

const RANKS = [1, 2, 3, 4];
const CORE_SHARE = 0.45;
/** Of the numbers of a long sum. */
const FEW = 1 / 1024;
/** Of a training step's last batch, the backward pass: its gradients are sent as they come. */
const BACKWARD = 2 / 3;

interface Modelled {
  work: WorkName;
  /** So little of it that what remains is the part that ranks do not divide. */
  little: number;
  /** Batches of a step; 0 for a work whose sums are sent at its end. */
  batches: number;
}

const WORKS: Modelled[] = [
  { work: 'em', little: 1 / 64, batches: 0 },
  { work: 'accumulation', little: 1 / MANY, batches: MANY },
];

const folder = mkdtempSync(join(tmpdir(), 'maetok-cost-model-'));

function measure(hosts: Hosts, work: WorkName, ranks: number, part = 1): Measured {
  const words = rankOf(work, { folder, quick: flags.quick, part });
  return measured([...(ranks === 1 ? hosts.on(0) : hosts.mpirun(ranks)), ...words]);
}

const times = (run: () => Measured): Measured[] =>
  Array.from({ length: Number(flags.runs ?? (flags.quick ? 1 : 5)) }, run);
const secondsOf = (runs: Measured[]): number => median(runs.map(({ seconds }) => seconds));

function measuredLink(hosts: Hosts): Link {
  const of = (part: number): { bytes: number; seconds: number } => {
    const runs = times(() => measure(hosts, 'allreduce', 2, part));
    return { bytes: runs[0].exchanged!.bytes, seconds: secondsOf(runs) };
  };
  return linkOf(of(FEW), of(1));
}

function rowsOf(hosts: Hosts, link: Link, { work, little, batches }: Modelled): Row[] {
  const found = new Map<number, Measured[]>(RANKS.map(ranks => [ranks, []]));
  const parts = times(() => {
    for (const ranks of RANKS) found.get(ranks)!.push(measure(hosts, work, ranks));
    return measure(hosts, work, 1, little);
  });
  const whole = costsOf(secondsOf(found.get(1)!), secondsOf(parts), little);
  const beside = batches === 0 ? 0 : (BACKWARD * whole.divided) / batches;
  const costs: Costs = { ...whole, beside, ...found.get(2)![0].exchanged! };
  process.stderr.write(`${work}: ${JSON.stringify(costs)}\n`);
  return RANKS.map(ranks => {
    const seconds = found.get(ranks)!.map(run => run.seconds);
    const expected = predicted(costs, link, ranks);
    return {
      work,
      ranks,
      seconds: median(seconds).toPrecision(4),
      low: Math.min(...seconds).toPrecision(4),
      high: Math.max(...seconds).toPrecision(4),
      model: expected.toPrecision(4),
      model_over_measured: (expected / median(seconds)).toFixed(3),
      speedup: (secondsOf(found.get(1)!) / median(seconds)).toFixed(2),
    };
  });
}

/** What a work costs where nothing is exchanged. */
function costsOfOne({ work, little }: Modelled): Costs {
  const onOneCore = (part: number): number =>
    secondsOf(times(() => measured(['taskset', '-c', '0', ...rankOf(work, { folder, quick: flags.quick, part })])));
  return { ...costsOf(onOneCore(1), onOneCore(little), little), beside: 0, bytes: 0, calls: 0 };
}

function onPaper(): Row[] {
  const link = { latency: Number(flags.latency), bytesPerSecond: (Number(flags.gigabits) * 1e9) / 8 };
  const cores = Number(flags.cores);
  const [em, step] = WORKS.map(costsOfOne);
  process.stderr.write(`one core: EM ${JSON.stringify(em)}, training ${JSON.stringify(step)}\n`);
  const works = [
    ...[50, 100, 200].map(components => [`EM iteration, K = ${components}`, emOnPaper(em, components, cores)] as const),
    ['training step, 20 M parameters, batch 256', trainingOnPaper(step, cores)] as const,
  ];
  return works.flatMap(([work, costs]) =>
    [1, 8, 64].map(nodes => ({
      work,
      nodes,
      seconds: predicted(costs, link, nodes).toPrecision(3),
      exchange: exchangeSeconds(costs, link, nodes).toPrecision(3),
      speedup: (predicted(costs, link, 1) / predicted(costs, link, nodes)).toFixed(1),
    })),
  );
}

await prepare({ folder, quick: flags.quick });
if (flags.paper) process.stdout.write(csvOf(onPaper()));
else withHosts();
rmSync(folder, { recursive: true, force: true });

function withHosts(): void {
  const hosts = hostsOrReason({ count: RANKS.at(-1)!, coreShare: CORE_SHARE });
  if (typeof hosts === 'string') return void process.stderr.write(`cost-model: nothing is measured: ${hosts}\n`);
  try {
    hosts.limit(1);
    const link = measuredLink(hosts);
    process.stderr.write(`link: ${JSON.stringify(link)}\n`);
    const rows = WORKS.flatMap(work => {
      const own = rowsOf(hosts, link, work);
      process.stderr.write(csvOf(own));
      return own;
    });
    process.stdout.write(csvOf(rows));
  } finally {
    hosts.close();
  }
}
