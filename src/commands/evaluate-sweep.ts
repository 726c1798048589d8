import { existsSync } from 'node:fs';
import { begunWith, EXIT, refuseOtherWork, UserError } from '../base/index.js';
import type { FeatureExtractor } from '../features/index.js';
import type { Decoding } from '../io/index.js';
import type { DistributionMetric } from '../metrics/index.js';
import type { SweepChoice, SweepPlan, SweepRow } from '../jobs/evaluate/index.js';
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
  const { communicator } = context;
  const folder = `${chosen.out!.replace(/\.csv$/, '')}-samples`;
  await holdFolder(folder, { communicator }, () => sweepHeld(chosen, input, folder, extractor, context));
}

async function sweepHeld(
  chosen: SweepOptions,
  input: string,
  folder: string,
  extractor: FeatureExtractor,
  context: Context,
): Promise<void> {
  const job = await import('../jobs/evaluate/index.js');
  const { agreeOnEach, byFirst } = await import('../distributed/index.js');
  const { communicator } = context;
  const { applicable, comparison, featuresCard, openReference, parseSweep, sweep } = job;
  const { name: source, path: model } = namedInput(input);
  const { settings, unguided, varied } = parseSweep(chosen.sweep);
  if (unguided) context.log.note(`--sweep: no setting is unguided; ${unguided.name} is measured too, to compare with`);
  const { metrics } = chosen;
  const drawn = applicable(extractor, metrics).filter(({ metric }) => metric.sweep !== undefined);
  const rankBy = drawn.find(({ metric }) => metric.sweep === 'ranks')?.name;
  if (rankBy === undefined) throw new UserError('--sweep ranks settings by the Fréchet distance; --metrics needs fid');
  const out = chosen.out!;
  const stem = out.replace(/\.csv$/, '');
  const decoding = decodingOf(chosen);
  const reference = await openReference(chosen.reference!, { ...decoding, strict: chosen.strict, log: context.log });
  try {
    const plan: SweepPlan = {
      ...chosen,
      model,
      source,
      settings: unguided ? [...settings, unguided] : settings,
      columns: [...new Set(['guidance', 'interval', ...varied])],
      samples: [...new Set(chosen.num)].sort((a, b) => a - b),
      rankBy,
      folder,
    };
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
      selection: selectionCard(plan),
    };
    const protocol = { command: 'evaluate', task: 'sweep', ...card('evaluate', fields) };
    const known = chosen.resume ? await knownRows(out, protocol) : [];
    await agreeOnEach(communicator, {
      [`--reference ${reference.name}: the digest`]: reference.digest,
      [`${out}: what was measured before`]: known,
    });
    const save = (rows: readonly SweepRow[]): Promise<void> =>
      writeTable(context, columnsOf(rows), rows as unknown as Row[], { out, force: true, protocol });
    const compare = await comparison(reference, extractor, metrics, chosen, context);
    const rows = await sweep(plan, compare, { known, save }, context).catch(savedIn(out));
    await save(rows);
    sayBest(rows, plan, context);
    sayGuidance(rows, plan, context);
    // What was added to compare with is no point of a line along anything but guidance.
    const only = unguided && !varied.includes('guidance') ? settings[0].options.guidance : undefined;
    const shown = drawn.map(({ name }) => name);
    await byFirst(communicator, () => draw(rows, varied, shown, { out, stem, only }, context));
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
  refuseOtherWork(out, before, protocol, { free: ['argv', 'version', 'selection'], say: begunWith('another --out') });
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

const guidedSettings = ({ settings }: SweepPlan): number => settings.filter(({ guided }) => guided).length;

/** Why the best of several settings is to be read with a grain of salt. */
const SAME_SAMPLES = 'judged by the samples that chose it, which favours it the more settings there are';

/** From how many settings the rows' choices were made. */
function selectionCard(plan: SweepPlan): Card {
  const guided = guidedSettings(plan);
  const unguided = plan.settings.length - guided;
  const caution = Math.max(guided, unguided) > 1 ? `the least of several is ${SAME_SAMPLES}` : null;
  return { least: plan.rankBy, guided_settings: guided, unguided_settings: unguided, caution };
}

/** What guidance gains: the best with it beside the best without. */
function sayGuidance(rows: readonly SweepRow[], plan: SweepPlan, { log }: Context): void {
  const { rankBy } = plan;
  const said = (wanted: SweepChoice): string | undefined => {
    const row = rows.find(({ choice }) => choice === wanted);
    return row && `${wanted} ${Number(row[rankBy]).toPrecision(5)} (${row.setting})`;
  };
  const [plain, best] = [said('unguided'), said('best guided')];
  if (plain === undefined || best === undefined) return;
  const guided = guidedSettings(plan);
  log.note(`${rankBy}: ${plain}; ${best}${guided === 1 ? '' : `, the least of ${guided}, ${SAME_SAMPLES}`}`);
}

/** A chart per metric that has one, against guidance or, where that is constant, against whatever varies. */
async function draw(
  rows: readonly SweepRow[],
  varied: readonly string[],
  metrics: readonly string[],
  { out, stem, only }: { out: string; stem: string; only: number | undefined },
  context: Context,
): Promise<void> {
  const x = ['guidance', ...varied].find(column => varied.includes(column) && typeof rows[0][column] === 'number');
  if (x === undefined) return;
  const color = varied.find(column => column !== x);
  const where = only === undefined ? [] : ['--where', `guidance=${only}`];
  const dash = new Set(rows.map(({ samples }) => samples)).size > 1 ? ['--dash', 'samples'] : [];
  for (const y of metrics.filter(column => Object.hasOwn(rows[0], column)))
    await context.run([
      ...['plot', out, '--kind', 'line', '--x', x, '--y', y, ...(color === undefined ? [] : ['--color', color])],
      ...[...dash, ...where, '--out', `${stem}-${y}.svg`, '--force'],
    ]);
}
