import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
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
  type Measured,
  type PageSection,
  type PageTable,
  type Pictures,
  type Table,
  type TableRow,
} from '../report/index.js';
import { MEASURES } from './measures.js';
import { MEASURE_NAMES, type MeasureName } from './names.js';
import type { Plan } from './plan.js';
import type { Study } from './study.js';
import { judgeClaims, summarise } from './summary.js';
import { overSeeds, where, type StudyTables } from './tables.js';

interface Chart {
  file: string;
  heading: string;
  text: string;
  table: Table;
  choice: ChartChoice;
}

/** Draws the charts, writes summary.csv, claims.csv, summary.md and report.html, and returns the summary. */
export async function writeReport(study: Study, plan: Plan, tables: StudyTables, out: string): Promise<Table> {
  const summary = summarise(study, tables);
  const claims = judgeClaims(study, tables);
  const charts = chartsOf(tables).filter(({ table }) => table.rows.length > 0);
  const sources = Object.keys(study.tokenizers);
  const sections: PageSection[] = [summarySection(study, summary), ...claimsSection(study, claims)];
  for (const { file, heading, text, table, choice } of charts) {
    const svg = await renderSvg(chartOf(table, { sources, ...choice }));
    await replace(join(out, 'charts', `${file}.svg`), svg);
    await replace(join(out, 'charts', `${file}.png`), rasterise(svg));
    await replace(join(out, 'charts', `${file}.csv`), csv(table));
    sections.push({ heading, charts: [{ name: file, caption: text, table, choice }] });
  }
  sections.push(...(await imageSections(plan)));
  await replace(join(out, 'summary.csv'), csv(summary));
  if (claims.rows.length > 0) await replace(join(out, 'claims.csv'), csv(claims));
  await replace(join(out, 'summary.md'), markdown(study, summary, claims));
  const subtitle = `maetok ${VERSION}, ${new Date().toISOString().slice(0, 10)}, seeds ${study.seeds.join(', ')}`;
  const page = {
    title: study.name,
    subtitle,
    question: 'Which latent space does a diffusion model learn best?',
    answer: answerOf(study, claims),
    wouldChange: study.seeds.length > 1 ? [] : ['More seeds: with one, no difference has an uncertainty of its own.'],
    sources,
    sections,
  };
  await replace(join(out, 'report.html'), await htmlReport(page));
  return summary;
}

/** Replaces an older file without asking: it is derived from the tables alone. */
const replace = (path: string, content: string | Uint8Array): Promise<void> =>
  writeFileAtomic(path, content, { force: true });

const csv = ({ columns, rows }: Table): string => stringify(rows, { header: true, columns });

/** The paper's Figure 2 and related charts. */
function chartsOf({ nll, probe, diffusion, generation }: StudyTables): Chart[] {
  const measured = where(nll, { control: 'none' });
  const heldout = where(diffusion, { split: 'heldout', weights: 'ema' });
  const last = Math.max(...heldout.rows.map(row => Number(row.step)));
  return [
    {
      file: 'nll',
      heading: 'Mixture fits',
      text: 'Negative log-likelihood of held-out latents against the number of components; all latent spaces are reduced to the same number of whitened principal components. Lower: fewer modes describe the space.',
      table: overSeeds(measured, ['source', 'components'], 'nll'),
      choice: {},
    },
    {
      file: 'gain',
      heading: 'Structure beyond one Gaussian',
      text: 'How many nats per latent a mixture gains over a single Gaussian in the same space.',
      table: overSeeds(measured, ['source', 'components'], 'gain'),
      choice: { kind: 'line', x: 'components', y: 'gain', color: 'source' },
    },
    {
      file: 'diffusion-loss',
      heading: 'Diffusion loss while training',
      text: 'Loss of the moving-average weights on held-out latents with frozen noise and times, divided by the variance of the target, so that latent spaces are comparable.',
      table: overSeeds(where(heldout, { bin: 'all' }), ['source', 'step'], 'loss_normalised'),
      choice: { kind: 'line', x: 'step', y: 'loss_normalised', color: 'source' },
    },
    {
      file: 'diffusion-loss-by-t',
      heading: 'Diffusion loss by timestep',
      text: 'The same loss after the last step, by time (t = 0 is noise, t = 1 is data).',
      table: overSeeds(timed(where(heldout, { step: last })), ['source', 't'], 'loss_normalised'),
      choice: { kind: 'line', x: 't', y: 'loss_normalised', color: 'source' },
    },
    {
      file: 'probe',
      heading: 'Probes',
      text: 'Accuracy of classifiers on frozen latents, with 95% intervals.',
      table: overSeeds(labelled(where(probe, { control: 'none' })), ['source', 'probe'], 'accuracy'),
      choice: {},
    },
    {
      file: 'generation',
      heading: 'Samples against images',
      text: 'Fréchet distance between features of samples and of images; comparable only between equal feature extractors.',
      table: overSeeds(distances(generation), ['source', 'features'], 'value'),
      choice: { kind: 'bar', x: 'source', y: 'value', color: 'source' },
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

function answerOf({ expect, seeds }: Study, claims: Table): string[] {
  if (expect.length === 0) return [];
  const held = claims.rows.filter(({ verdict }) => verdict === 'holds' || verdict === 'as expected (one seed)').length;
  const how = seeds.length > 1 ? `over ${seeds.length} seeds, with 95% confidence` : 'at one seed, by sign only';
  return [`Of ${claims.rows.length} expected orderings ${held} show ${how}.`];
}

function summarySection(study: Study, summary: Table): PageSection {
  const measures = MEASURE_NAMES.filter(name => summary.columns.includes(name));
  const conditions = (name: MeasureName): string =>
    Object.keys(MEASURES[name].context ?? {})
      .map(column => `${column.split('_').at(-1)!} ${[...new Set(summary.rows.map(row => row[column]))].join(', ')}`)
      .join('; ');
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
      ...Object.fromEntries(measures.map(name => [name, measured(row, name)])),
    })),
  };
  return { heading: 'Summary', text: remarks(study), tables: [table] };
}

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

function claimsSection({ expect, seeds }: Study, claims: Table): PageSection[] {
  if (expect.length === 0) return [];
  const table: PageTable = {
    name: 'claims',
    caption: 'Expected orderings',
    columns: ['claim', 'measure', 'advantage', 'seeds', 'verdict'].map(key => ({ key, title: key })),
    rows: claims.rows.map(row => ({ ...row, advantage: measured(row, 'advantage') })),
    notes: [claimsNote(seeds.length)],
  };
  return [{ heading: 'Expected orderings', tables: [table] }];
}

const claimsNote = (seeds: number): string =>
  seeds > 1
    ? `An ordering holds where the paired difference over ${seeds} seeds excludes 0 with 95% confidence.`
    : 'One seed only: the verdict gives the direction of the difference here, not whether it would recur.';

/** Reconstructions at the end of each tokenizer's training, and samples. */
async function imageSections({ spaces }: Plan): Promise<PageSection[]> {
  const reconstructions = await Promise.all(
    spaces.map(async ({ name, decoder }) =>
      captioned(`${name}: originals and reconstructions`, await newestGrid(decoder)),
    ),
  );
  const samples = await Promise.all(
    spaces.flatMap(({ runs }) => runs.map(({ name, samples }) => captioned(`${name}: samples`, `${samples}-grid.png`))),
  );
  const sections = [
    { heading: 'Reconstructions', pictures: reconstructions.filter(one => one !== undefined) },
    { heading: 'Samples', pictures: samples.filter(one => one !== undefined) },
  ];
  return sections.filter(({ pictures }) => pictures.length > 0);
}

async function newestGrid(run: string | undefined): Promise<string | undefined> {
  if (run === undefined) return undefined;
  const folder = join(run, 'reconstructions');
  if (!existsSync(folder)) return undefined;
  const step = (file: string): number => Number(/\d+/.exec(file)?.[0] ?? -1);
  const newest = (await readdir(folder)).sort((a, b) => step(a) - step(b)).at(-1);
  return newest === undefined ? undefined : join(folder, newest);
}

async function captioned(caption: string, path: string | undefined): Promise<Pictures | undefined> {
  return path !== undefined && existsSync(path) ? { kind: 'grid', caption, image: await readFile(path) } : undefined;
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
    ...(claims.rows.length > 0 ? ['## Expected orderings', claimsNote(study.seeds.length), markdownTable(claims)] : []),
    '',
  ].join('\n\n');
}
