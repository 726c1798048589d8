import { join } from 'node:path';
import { openImages } from '../../data/index.js';
import { alone, gatherParts } from '../../distributed/index.js';
import type { Score } from '../../metrics/index.js';
import type { EvaluateContext, EvaluationRow } from './rows.js';
import type { Compare } from './sets.js';
import { sampleOptions } from '../sample/options.js';
import { sampleRun } from '../sample/index.js';
import type { SweepSetting } from './sweep-settings.js';

export type SweepCell = string | number | null;
/** One setting measured on so many samples: its options, then each metric under its own name. */
export type SweepRow = Record<string, SweepCell> & { setting: string; samples: number; choice: SweepChoice | null };
/** What a row stands for among those of most samples. */
export type SweepChoice = 'unguided' | 'best guided';

export interface SweepPlan {
  /** The diffusion model. */
  model: string;
  source: string;
  tokenizer?: string | undefined;
  settings: readonly SweepSetting[];
  /** Options that have a column. */
  columns: readonly string[];
  /**
   * Samples per setting, in ascending order: all settings on the first; on those that follow only the best few, and in
   * any case the best with guidance and the best without.
   */
  samples: readonly number[];
  best: number;
  /** The column that says which is best; the least is. */
  rankBy: string;
  /** Folder for the samples, one below it per setting. */
  folder: string;
  batchSize: number;
  seed: number;
  precision: string;
}

export interface SweepProgress {
  /** Rows of an earlier run of the same sweep. */
  known: readonly SweepRow[];
  /** Called with all rows so far whenever one was measured. */
  save: (rows: readonly SweepRow[]) => Promise<void>;
}

/** Samples and measures every setting, then the best few again on more samples; what is known is not measured again. */
export async function sweep(
  plan: SweepPlan,
  compare: Compare,
  { known, save }: SweepProgress,
  context: EvaluateContext,
): Promise<SweepRow[]> {
  const rows: SweepRow[] = [];
  let settings = plan.settings;
  for (const [stage, samples] of plan.samples.entries()) {
    const measured: Measured[] = [];
    for (const [i, setting] of settings.entries()) {
      const before = known.find(row => row.setting === setting.name && row.samples === samples);
      // The first setting's samples are always continued, which fails if another model made them.
      if (!before || (stage === 0 && i === 0)) await sampleSetting(plan, setting, samples, context);
      const row = before ? { ...before, choice: null } : await measure(plan, setting, samples, compare, context);
      measured.push({ setting, row });
      rows.push(row);
      if (before) {
        context.log.reused(`${setting.name}: measured on ${samples} samples before`);
        continue;
      }
      context.log.note(`${setting.name}: ${plan.rankBy} ${shown(row[plan.rankBy])} of ${samples} samples`);
      await save(rows);
    }
    const ranked = measured.sort((a, b) => Number(a.row[plan.rankBy]) - Number(b.row[plan.rankBy]));
    const bestOf = (guided: boolean): Measured | undefined => ranked.find(({ setting }) => setting.guided === guided);
    const pair = { 'best guided': bestOf(true), unguided: bestOf(false) };
    settings = ranked
      .filter((one, rank) => rank < plan.best || Object.values(pair).includes(one))
      .map(({ setting }) => setting);
    if (stage + 1 < plan.samples.length) continue;
    for (const [choice, one] of Object.entries(pair)) if (one) one.row.choice = choice as SweepChoice;
  }
  return rows;
}

interface Measured {
  setting: SweepSetting;
  row: SweepRow;
}

const shown = (value: SweepCell | undefined): string => (typeof value === 'number' ? value.toPrecision(4) : '–');

const folderOf = ({ folder }: SweepPlan, setting: SweepSetting): string => join(folder, setting.folder);

async function sampleSetting(
  plan: SweepPlan,
  setting: SweepSetting,
  samples: number,
  context: EvaluateContext,
): Promise<void> {
  const { tokenizer, batchSize, seed, precision } = plan;
  const out = folderOf(plan, setting);
  const options = { ...setting.options, tokenizer, out, num: samples, batchSize, npz: false, resume: true };
  await sampleRun(plan.model, { ...sampleOptions.parse(options), seed, precision }, context);
}

async function measure(
  plan: SweepPlan,
  setting: SweepSetting,
  samples: number,
  compare: Compare,
  { log, communicator = alone }: EvaluateContext,
): Promise<SweepRow> {
  const images = await openImages(folderOf(plan, setting), { limit: samples, log, strict: true });
  try {
    const options = setting.options as Record<string, unknown>;
    const row = {
      source: plan.source,
      setting: setting.name,
      ...Object.fromEntries(plan.columns.map(column => [column, cell(options[column])])),
      samples,
      choice: null,
      ...wide(await compare({ name: setting.name, images })),
    };
    // Another processor may round otherwise; what is best, all have to see alike.
    return (await gatherParts(communicator, row))[0];
  } finally {
    await images.close();
  }
}

function cell(value: unknown): SweepCell {
  if (Array.isArray(value)) return value.join(':');
  return typeof value === 'number' ? value : String(value);
}

/** Each metric as a separate column, in its first variant, with interval and standard deviation where it has them. */
function wide(scores: readonly EvaluationRow[]): Record<string, SweepCell> {
  const first = scores.filter(({ metric }, i) => scores.findIndex(score => score.metric === metric) === i);
  return Object.assign({ features: scores[0]?.features ?? '' }, ...first.map(columnsOf)) as Record<string, SweepCell>;
}

const columnsOf = ({ metric, value, low, high, std }: Score): Record<string, SweepCell> => ({
  [metric]: value,
  [`${metric}_low`]: low ?? null,
  [`${metric}_high`]: high ?? null,
  [`${metric}_std`]: std ?? null,
});
