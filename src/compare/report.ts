import { join } from 'node:path';
import { stringify } from 'csv-stringify/sync';
import { VERSION } from '../base/index.js';
import { writeFileAtomic } from '../io/index.js';
import {
  chartOf,
  htmlReport,
  markdownTable,
  rasterise,
  renderSvg,
  type ChartChoice,
  type Mark,
  type Measured,
  type PageChart,
  type PageSection,
  type PageTable,
  type ReportPage,
  type Table,
  type TableRow,
} from '../report/index.js';
import { CLAIMS_NOTE, judgeClaims, verdictOf } from './claims.js';
import { differenceOf } from './difference.js';
import { furtherMeasures } from './further.js';
import { summaryCard } from './card.js';
import { atLargest, MEASURES } from './measures.js';
import { MEASURE_NAMES, type MeasureName } from './names.js';
import { pictureSections } from './pictures.js';
import type { Plan } from './plan.js';
import type { Study } from './study.js';
import { provenanceOf } from './provenance.js';
import { summarise } from './summary.js';
import { overSeeds, where, type StudyTables } from './tables.js';
import { thumbnailsOf } from './thumbnails.js';
import { verdict } from './verdict.js';

interface Chart {
  file: string;
  heading: string;
  text: string;
  table: Table;
  choice: ChartChoice;
  /** How the names of the steps begin that made the numbers. */
  steps: string;
}

export interface ReportOptions {
  /** Steps that are still to be done: the page says so, and loads itself again from time to time. */
  remaining?: number | undefined;
}

/** Draws the charts, writes summary.csv with its protocol card, claims.csv, summary.md and report.html, and returns the summary. */
export async function writeReport(
  study: Study,
  plan: Plan,
  tables: StudyTables,
  out: string,
  { remaining = 0 }: ReportOptions = {},
): Promise<Table> {
  const { page, summary, claims, charts } = await pageOf(study, plan, tables);
  for (const { file, table, choice } of charts) {
    const svg = await renderSvg(chartOf(table, { sources: page.sources, ...choice }));
    await replace(join(out, 'charts', `${file}.svg`), svg);
    await replace(join(out, 'charts', `${file}.png`), rasterise(svg));
    await replace(join(out, 'charts', `${file}.csv`), csv(table));
  }
  await replace(join(out, 'summary.csv'), csv(summary));
  const card = await summaryCard(study, plan.steps);
  await replace(join(out, 'summary.csv.protocol.json'), `${JSON.stringify(card, null, 2)}\n`);
  if (claims.rows.length > 0) await replace(join(out, 'claims.csv'), csv(claims));
  await replace(join(out, 'summary.md'), markdown(study, summary, claims));
  const unfinished = {
    ...page,
    subtitle: `${page.subtitle}; unfinished: ${remaining} steps are still to be done`,
    reload: RELOAD,
  };
  await replace(join(out, 'report.html'), await htmlReport(remaining > 0 ? unfinished : page));
  return summary;
}

/** A study whose tables are there. */
export interface MeasuredStudy {
  study: Study;
  plan: Plan;
  tables: StudyTables;
}

/** Writes one page for several studies, one after the other. */
export async function writeJointReport(studies: MeasuredStudy[], file: string, force: boolean): Promise<void> {
  const pages = await Promise.all(studies.map(async ({ study, plan, tables }) => pageOf(study, plan, tables)));
  const joint = pages.map(({ page }) => page);
  const sections = joint.flatMap(({ title, sections, lead }, i) =>
    [
      ...(lead ? [{ heading: `${title}: at a glance`, charts: [lead] }] : []),
      ...sections.map(section => ({ ...section, heading: `${title}: ${section.heading}` })),
    ].map(section => renamed(section, i)),
  );
  const page: ReportPage = {
    title: joint.map(({ title }) => title).join(', '),
    subtitle: joint[0].subtitle,
    question: `What do ${joint.length} studies say side by side?`,
    answer: joint.map(({ title, answer }) => `${title}: ${answer[0]}`),
    wouldChange: joint.flatMap(({ title, wouldChange }) => wouldChange.map(line => `${title}: ${line}`)),
    sources: [...new Set(joint.flatMap(({ sources }) => sources))],
    sections,
  };
  await writeFileAtomic(file, await htmlReport(page), { force });
}

/** The section with names of tables and charts that no other study's have. */
const renamed = (section: PageSection, study: number): PageSection => {
  const apart = <T extends { name: string }>(one: T): T => ({ ...one, name: `${study + 1}-${one.name}` });
  return { ...section, tables: section.tables?.map(apart), charts: section.charts?.map(apart) };
};

/** What a study says as a page, and the tables and charts that are also files. */
async function pageOf(study: Study, plan: Plan, tables: StudyTables) {
  const summary = summarise(study, tables);
  const claims = judgeClaims(study, tables);
  const charts = chartsOf(tables).filter(({ table }) => table.rows.length > 0);
  const madeBy = (...names: string[]) =>
    provenanceOf(plan.steps.filter(({ name }) => names.some(start => name.startsWith(start))));
  const sections: PageSection[] = [
    summarySection(study, tables, summary),
    ...claimsSection(study, claims),
    ...furtherSection(study, tables, summary),
  ];
  for (const { file, heading, text, table, choice, steps } of charts) {
    const thumbnails = table === tables.umap ? await thumbnailsOf(study, plan.spaces, table) : undefined;
    sections.push({
      heading,
      charts: [{ name: file, caption: text, table, choice, thumbnails, ...(await madeBy(steps)) }],
    });
  }
  sections.push(...(await pictureSections(plan.spaces)));
  const { measure, ...said } = verdict(study, tables, summary, claims);
  const lead = leadChart(summary, measure);
  const page: ReportPage = {
    title: study.name,
    subtitle: `maetok ${VERSION}, ${new Date().toISOString().slice(0, 10)}, seeds ${study.seeds.join(', ')}`,
    ...said,
    lead: lead && {
      ...lead,
      ...(await madeBy(...(measure === 'probe' ? ['probe'] : ['mixtures', 'diffusion on', 'evaluate samples']))),
    },
    sources: Object.keys(study.tokenizers),
    sections,
  };
  return { page, summary, claims, charts };
}

/** Replaces an older file without asking: it is derived from the tables alone. */
const replace = (path: string, content: string | Uint8Array): Promise<void> =>
  writeFileAtomic(path, content, { force: true });

const csv = ({ columns, rows }: Table): string => stringify(rows, { header: true, columns });

/** The paper's Figure 2 and related charts. */
function chartsOf({ nll, probe, diffusion, generation, umap }: StudyTables): Chart[] {
  const measured = where(nll, { control: 'none' });
  const heldout = where(diffusion, { split: 'heldout', weights: 'ema' });
  const last = Math.max(...heldout.rows.map(row => Number(row.step)));
  return [
    {
      file: 'nll',
      steps: 'mixtures',
      heading: 'Mixture fits',
      text: 'Negative log-likelihood of held-out latents against the number of components; all latent spaces are reduced to the same number of whitened principal components. Lower: fewer modes describe the space.',
      table: overSeeds(measured, ['source', 'components'], 'nll'),
      choice: {},
    },
    {
      file: 'gain',
      steps: 'mixtures',
      heading: 'Structure beyond one Gaussian',
      text: 'How many nats per latent a mixture gains over a single Gaussian in the same space.',
      table: overSeeds(measured, ['source', 'components'], 'gain'),
      choice: { kind: 'line', x: 'components', y: 'gain', color: 'source' },
    },
    {
      file: 'diffusion-loss',
      steps: 'diffusion on',
      heading: 'Diffusion loss while training',
      text: 'Loss of the moving-average weights on held-out latents with frozen noise and times, divided by the variance of the target, so that latent spaces are comparable.',
      table: overSeeds(where(heldout, { bin: 'all' }), ['source', 'step'], 'loss_normalised'),
      choice: { kind: 'line', x: 'step', y: 'loss_normalised', color: 'source' },
    },
    {
      file: 'diffusion-loss-by-t',
      steps: 'diffusion on',
      heading: 'Diffusion loss by timestep',
      text: 'The same loss after the last step, by time (t = 0 is noise, t = 1 is data).',
      table: overSeeds(timed(where(heldout, { step: last })), ['source', 't'], 'loss_normalised'),
      choice: { kind: 'line', x: 't', y: 'loss_normalised', color: 'source' },
    },
    {
      file: 'probe',
      steps: 'probe',
      heading: 'Probes',
      text: 'Accuracy of classifiers on frozen latents, with 95% intervals.',
      table: overSeeds(labelled(where(probe, { control: 'none' })), ['source', 'probe'], 'accuracy'),
      choice: {},
    },
    {
      file: 'generation',
      steps: 'evaluate samples',
      heading: 'Samples against images',
      text: 'Fréchet distance between features of samples and of images; comparable only between equal feature extractors.',
      table: overSeeds(distances(generation), ['source', 'features'], 'value'),
      choice: { kind: 'bar', x: 'source', y: 'value', color: 'source' },
    },
    {
      file: 'embedding',
      steps: 'umap',
      heading: 'In the plane',
      text: 'Each latent space in two dimensions. Neighbourhoods are kept as far as the trustworthiness among the further measures says; distances between groups are not.',
      table: umap,
      choice: {},
    },
  ];
}

const timed = (table: Table): Table => ({ ...table, rows: table.rows.filter(row => typeof row.t === 'number') });

/** Probe, feature and setting as one word, so that each gets a panel. */
const labelled = (table: Table): Table => ({
  ...table,
  // The chosen penalty differs between spaces and is not part of what is compared.
  rows: table.rows.map(row => ({
    ...row,
    probe: `${row.probe} on ${row.feature} latents${String(row.setting).startsWith('C=') ? '' : `, ${row.setting}`}`,
  })),
});

const distances = (table: Table): Table => ({
  ...table,
  rows: table.rows.filter(({ metric }) => metric === 'fid' || metric === 'fd'),
});

/**
 * The study's question as a chart: what a diffusion model makes of each latent space, against what may predict it; where
 * none was trained, what the answer rests on.
 */
function leadChart(summary: Table, answer: MeasureName | undefined): PageChart | undefined {
  const filled = (name: MeasureName): boolean => summary.rows.some(row => typeof row[name] === 'number');
  const y = TARGETS.find(filled);
  const x = PREDICTORS.find(filled);
  if (y !== undefined && x !== undefined) {
    const caption = `${MEASURES[y].title} against ${MEASURES[x].title}, a point per latent space, with 95% intervals where there are any.`;
    return { name: 'lead', caption, table: summary, choice: { kind: 'points', x, y, color: 'source' } };
  }
  const only = y ?? answer;
  if (only === undefined) return undefined;
  const caption = `${MEASURES[only].title} of each latent space, with 95% intervals where there are any.`;
  return { name: 'lead', caption, table: summary, choice: { kind: 'bar', x: 'source', y: only, color: 'source' } };
}

/** What the study is about, and what may predict it: in this order, whatever came out. */
const TARGETS: MeasureName[] = ['generation', 'diffusion_loss'];
const PREDICTORS: MeasureName[] = ['effective_components', 'gain', 'probe'];
/** Seconds after which the page of an unfinished study loads itself again. */
const RELOAD = 10;

function summarySection(study: Study, tables: StudyTables, summary: Table): PageSection {
  const measures = MEASURE_NAMES.filter(name => summary.columns.includes(name));
  const conditions = (name: MeasureName): string =>
    Object.keys(MEASURES[name].context ?? {})
      .map(column => `${column.split('_').at(-1)!} ${[...new Set(summary.rows.map(row => row[column]))].join(', ')}`)
      .join('; ');
  const isCut = (name: MeasureName, { source }: TableRow): boolean =>
    name === 'best_components' && atLargest(tables, String(source));
  const table: PageTable = {
    name: 'summary',
    caption: 'Every measure with its 95% interval',
    columns: [
      { key: 'source', title: 'latent space' },
      ...measures.map(name => ({
        key: name,
        title: MEASURES[name].title,
        better: MEASURES[name].better,
        note: conditions(name),
      })),
    ],
    rows: summary.rows.map(row => ({
      source: row.source,
      ...Object.fromEntries(
        measures.map(name => [
          name,
          {
            ...(isCut(name, row) ? { value: row[name] as number, atLeast: true } : measured(row, name)),
            mark: markOf(study, tables, summary, row, name),
          },
        ]),
      ),
    })),
    notes: summary.rows.some(row => isCut('best_components', row)) ? [CUT_NOTE] : [],
  };
  return { heading: 'Summary', text: remarks(study), tables: [table] };
}

const CUT_NOTE =
  '≥: the largest mixture that was tried is the best, so more components may be better; what such a mixture consists of has no best.';

const measured = (row: TableRow, column: string): Measured => ({
  value: row[column] as number | null,
  low: row[`${column}_low`] as number | null,
  high: row[`${column}_high`] as number | null,
});

/** Explains the table's numbers. */
const remarks = ({ about, paper }: Study): string[] => [
  ...(about === undefined ? [] : [about]),
  ...(paper ? [`Columns that begin with “paper” are not measured here: ${paper.from}`] : []),
];

/** Whether a value is the best of its column, or cannot be told from the best by the interval of the difference. */
function markOf(
  study: Study,
  tables: StudyTables,
  { rows }: Table,
  row: TableRow,
  name: MeasureName,
): Mark | undefined {
  const finite = rows.filter(row => Number.isFinite(row[name]));
  if (finite.length < 2 || !finite.includes(row)) return undefined;
  const ends = finite.map(row => Number(row[name]));
  const best = MEASURES[name].better === 'higher' ? Math.max(...ends) : Math.min(...ends);
  if (finite.every(row => row[name] === best)) return undefined;
  const first = finite.find(row => row[name] === best)!;
  const lead = (other: TableRow) => differenceOf(study, tables, name, [String(first.source), String(other.source)]);
  // Of counts whose difference may be that of two fits, or the end of the sweep, none is the best.
  if (MEASURES[name].counted && finite.some(other => other !== first && lead(other)?.low == null)) return undefined;
  if (row[name] === best) return 'best';
  const difference = lead(row);
  return difference?.low != null && verdictOf(difference) === 'undecided' ? 'tied' : undefined;
}

function claimsSection({ expect }: Study, claims: Table): PageSection[] {
  if (expect.length === 0) return [];
  const table: PageTable = {
    name: 'claims',
    caption: 'Claims and what the measurements say of them',
    columns: ['claim', 'measure', 'advantage', 'over', 'verdict'].map(key => ({ key, title: key })),
    rows: claims.rows.map(row => ({ ...row, advantage: measured(row, 'advantage') })),
    notes: [CLAIMS_NOTE],
  };
  return [{ heading: 'Claims', tables: [table] }];
}

/** Every further number, a row per measure and a column per latent space. */
function furtherSection(study: Study, tables: StudyTables, summary: Table): PageSection[] {
  const names = furtherMeasures(tables)
    .map(({ name }) => name)
    .filter(name => summary.columns.includes(name));
  if (names.length === 0) return [];
  const table: PageTable = {
    name: 'further',
    caption: 'Every further measure, with its interval where it has one',
    columns: [
      { key: 'measure', title: 'measure' },
      ...Object.keys(study.tokenizers).map(source => ({ key: source, title: source })),
    ],
    rows: names.map(name => ({
      measure: name.replaceAll('_', ' '),
      ...Object.fromEntries(summary.rows.map(row => [String(row.source), measured(row, name)])),
    })),
    rounded: 'by row',
    notes: ['What each says, its range and what it is confounded with: docs/measures.md.'],
  };
  return [{ heading: 'Further measures', tables: [table] }];
}

function markdown(study: Study, summary: Table, claims: Table): string {
  const legend = MEASURE_NAMES.filter(name => summary.columns.includes(name)).map(name => {
    const { title, better } = MEASURES[name];
    return `- ${name.replaceAll('_', ' ')}: ${title}; ${better} is better`;
  });
  return [
    `# ${study.name}`,
    ...remarks(study),
    markdownTable(summary),
    legend.join('\n'),
    ...(claims.rows.length > 0 ? ['## Claims', CLAIMS_NOTE, markdownTable(claims)] : []),
    '',
  ].join('\n\n');
}
