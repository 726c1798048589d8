import { existsSync } from 'node:fs';
import { begunWith, EXIT, refuseOtherWork, UserError } from '../base/index.js';
import type { FeatureExtractor } from '../features/index.js';
import type { Decoding } from '../io/index.js';
import type { DistributionMetric } from '../metrics/index.js';
import type { SweepPlan, SweepRow } from '../jobs/evaluate/index.js';
import type { Context } from './command.js';
import { namedInput } from './inputs.js';
import { decodingOf } from './options.js';
import { card, writeTable, type Card, type Row } from './table.js';

export interface SweepOptions extends Decoding {
  sweep: string;
  reference?: string | undefined;
  tokenizer?: string | undefined;
  metrics: readonly DistributionMetric[];
  num: number[];
  best: number;
  size?: number | undefined;
  batchSize: number;
  bootstrap: number;
  directions: number;
  out?: string | undefined;
  resume: boolean;
  force: boolean;
  strict: boolean;
  seed: number;
  precision: string;
}

/** `evaluate --sweep`: a table of Fréchet distance and inception score against guidance, and its charts. */
export async function evaluateSweep(
  chosen: SweepOptions,
  input: string,
  extractor: FeatureExtractor,
  context: Context,
): Promise<void> {
  const { holdFolder } = await import('../io/index.js');
  const folder = `${chosen.out!.replace(/\.csv$/, '')}-samples`;
  await holdFolder(folder, {}, () => sweepHeld(chosen, input, folder, extractor, context));
}

async function sweepHeld(
  chosen: SweepOptions,
  input: string,
  folder: string,
  extractor: FeatureExtractor,
  context: Context,
): Promise<void> {
  const job = await import('../jobs/evaluate/index.js');
  const { applicable, comparison, featuresCard, openReference, parseSweep, sweep } = job;
  const { name: source, path: model } = namedInput(input);
  const { settings, varied } = parseSweep(chosen.sweep);
  const { metrics } = chosen;
  const drawn = applicable(extractor, metrics).filter(({ metric }) => metric.sweep !== undefined);
  const rankBy = drawn.find(({ metric }) => metric.sweep === 'ranks')?.name;
  if (rankBy === undefined) throw new UserError('--sweep ranks settings by the Fréchet distance; --metrics needs fid');
  const out = chosen.out!;
  const stem = out.replace(/\.csv$/, '');
  const decoding = decodingOf(chosen);
  const reference = await openReference(chosen.reference!, { ...decoding, strict: chosen.strict, log: context.log });
  try {
    const fields = {
      argv: context.argv,
      model,
      decoding,
      tokenizer: chosen.tokenizer,
      reference: reference.digest,
      ...{ metrics: metrics.map(({ name }) => name), features: featuresCard(extractor), crop: chosen.size ?? 'none' },
      bootstrap: chosen.bootstrap,
      directions: metrics.some(({ name }) => name === 'mind') ? chosen.directions : undefined,
      precision: chosen.precision,
      seed: chosen.seed,
    };
    const protocol = { command: 'evaluate', task: 'sweep', ...card('evaluate', fields) };
    const known = chosen.resume ? await knownRows(out, protocol) : [];
    const plan: SweepPlan = {
      ...chosen,
      model,
      source,
      settings,
      columns: [...new Set(['guidance', 'interval', ...varied])],
      samples: [...new Set(chosen.num)].sort((a, b) => a - b),
      rankBy,
      folder,
    };
    const save = (rows: readonly SweepRow[]): Promise<void> =>
      writeTable(context, columnsOf(rows), rows as unknown as Row[], { out, force: true, protocol });
    const compare = await comparison(reference, extractor, metrics, chosen, context);
    const rows = await sweep(plan, compare, { known, save }, context).catch(savedIn(out));
    await save(rows);
    sayBest(rows, plan, context);
    await draw(
      rows,
      varied,
      drawn.map(({ name }) => name),
      { out, stem },
      context,
    );
  } finally {
    await reference.close();
  }
}

const columnsOf = (rows: readonly SweepRow[]): string[] => [...new Set(rows.flatMap(row => Object.keys(row)))];

/** Rows of an earlier sweep measured in the same way. */
async function knownRows(out: string, protocol: Card): Promise<SweepRow[]> {
  if (!existsSync(out)) return [];
  const { readTable } = await import('../report/index.js');
  const { readJsonRecord } = await import('../io/index.js');
  const before = await readJsonRecord(`${out}.protocol.json`);
  refuseOtherWork(out, before, protocol, { free: ['argv', 'version'], say: begunWith('another --out') });
  return (await readTable(out)).rows as unknown as SweepRow[];
}

function savedIn(out: string): (error: unknown) => never {
  return error => {
    if (!(error instanceof UserError) || error.exitCode !== EXIT.interrupted) throw error;
    throw new UserError(
      `interrupted; what was measured is in ${out}; the same command with --resume continues`,
      EXIT.interrupted,
    );
  };
}

/** The best setting, and how many others its interval cannot rule out as equally good. */
function sayBest(rows: readonly SweepRow[], { samples, rankBy }: SweepPlan, { log }: Context): void {
  const most = samples.at(-1);
  const [best, ...others] = rows
    .filter(row => row.samples === most)
    .sort((a, b) => Number(a[rankBy]) - Number(b[rankBy]));
  const high = best[`${rankBy}_high`];
  const alike = others.filter(row => typeof high === 'number' && Number(row[rankBy]) <= high).length;
  const doubt = alike === 0 ? '' : `; ${alike} of ${others.length} others lie within its interval`;
  log.note(`best: ${best.setting}, ${rankBy} ${Number(best[rankBy]).toPrecision(5)} of ${most} samples${doubt}`);
}

/** A chart per metric that has one, against guidance or, where that is constant, against whatever varies. */
async function draw(
  rows: readonly SweepRow[],
  varied: readonly string[],
  metrics: readonly string[],
  { out, stem }: { out: string; stem: string },
  context: Context,
): Promise<void> {
  const x = ['guidance', ...varied].find(column => varied.includes(column) && typeof rows[0][column] === 'number');
  if (x === undefined) return;
  const color = varied.find(column => column !== x);
  const dash = new Set(rows.map(({ samples }) => samples)).size > 1 ? ['--dash', 'samples'] : [];
  for (const y of metrics.filter(column => Object.hasOwn(rows[0], column)))
    await context.run([
      ...['plot', out, '--kind', 'line', '--x', x, '--y', y, ...(color === undefined ? [] : ['--color', color])],
      ...[...dash, '--out', `${stem}-${y}.svg`, '--force'],
    ]);
}
