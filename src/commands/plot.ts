import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { UserError } from '../base/index.js';
import { defineCommand, type Context } from './command.js';
import { namedInputs } from './inputs.js';
import { count, words } from '../base/options.js';
import { common, force } from './options.js';
import { chartFiles, writeChart } from './write-chart.js';
import type { ProtocolCard, Table } from '../report/index.js';
import { CHART_KINDS } from '../report/names.js';

const options = z.object({
  out: z.string().optional().describe('FILE.svg or FILE.png (both: FILE.svg,FILE.png); default: the SVG on stdout'),
  kind: z.enum(CHART_KINDS).optional().describe('default: what suits the table'),
  x: words.optional().describe('column of the x axis; several: a panel for each, with an axis of its own'),
  y: z.string().optional().describe('column of the y axis'),
  color: z.string().optional().describe('column that distinguishes series by colour'),
  facet: z.string().optional().describe('column whose values each get a panel'),
  dash: z.string().optional().describe('column that distinguishes series of one colour by dashes'),
  logX: z.boolean().default(false).describe('logarithmic x axis'),
  logY: z.boolean().default(false).describe('logarithmic y axis'),
  title: z.string().optional().describe('title above the chart'),
  width: count.optional().describe('width of a panel in pixels'),
  height: count.optional().describe('height of a panel in pixels'),
  scale: count.default(2).describe('PNG pixels per SVG unit'),
  where: z.string().optional().describe('draw only rows with these values, e.g. split=heldout,weights=ema'),
  force,
  ...common,
});

export const plot = defineCommand({
  name: 'plot',
  describe: 'Draws a CSV that maetok wrote (from files or a pipe) as SVG or PNG.',
  examples: [
    ['maetok analyze-gmm latents/mae latents/ae | maetok plot --out nll.png', 'NLL against components'],
    ['maetok plot mae=runs/sit-mae/loss.csv ae=runs/sit-ae/loss.csv --out loss.svg', 'overlay two loss curves'],
    [
      'maetok plot study/summary.csv --kind points --x gain,viv,probe --y generation --color source --out predictors.png',
      'each measure against the distance of samples, names at the points',
    ],
    ['maetok plot scores.csv --x guidance --y fd --color source > fd.svg', 'name the axes yourself'],
  ],
  inputs: {
    name: 'CSV',
    describe: 'CSV files, each optionally named (mae=FILE); none: standard input',
    min: 0,
    max: 64,
  },
  options,
  main: ['out', 'kind', 'x', 'y', 'color', 'facet', 'logX', 'logY', 'title', 'where', 'force'],
  async run(chosen, inputs, context) {
    const { chartOf, filter, leftOut, renderSvg, requireSameProtocol, stack, trainedDifferently, usualLosses } =
      await import('../report/index.js');
    const files = chartFiles('--out', chosen.out);
    const tables = await readTables(inputs, context);
    if (!chosen.force) requireSameProtocol(tables.flatMap(({ card }) => card ?? []));
    const unlike = trainedDifferently(tables.flatMap(({ card, trained }) => card ?? trained ?? []));
    if (unlike !== undefined) context.log.warn(unlike);
    const sources = tables.flatMap(({ sources }) => sources);
    const stacked = stack(
      tables.map(({ table }) => table),
      sources,
    );
    const { force, scale, x: across = [] } = chosen;
    const wanted = chosen.where === undefined ? stacked : filter(stacked, chosen.where);
    const { table: rows, kept } = usualLosses(wanted, { ...chosen, x: across.at(0) });
    if (kept.length > 0) context.log.note(`drawn: ${kept.join(', ')}; --where and --color choose others`);
    const { table, axes } = await panelled(rows, across, chosen.facet);
    const choice = { ...chosen, ...axes, sources };
    await writeChart(context, table, choice, { files, force, scale });
    if (files.length > 0) return;
    context.stdout.write(`${await renderSvg(chartOf(table, choice))}\n`);
    const missing = leftOut(table, choice);
    if (missing !== undefined) context.log.warn(missing);
  },
});

/** A panel for each of several columns under --x. */
async function panelled(table: Table, across: string[], facet: string | undefined) {
  if (across.length < 2) return { table, axes: { x: across.at(0) } };
  if (facet !== undefined) throw new UserError('--facet: several columns under --x have a panel each already');
  const { FOLDED, folded } = await import('../report/index.js');
  return { table: folded(table, across), axes: { x: FOLDED.value, facet: FOLDED.measure, freeX: true } };
}

interface Read {
  table: Table;
  card: ProtocolCard | undefined;
  /** Latent spaces of the study that the table belongs to, whose colours it keeps. */
  sources: string[];
  /** Of a table that a training wrote: how it trained. */
  trained?: ProtocolCard | undefined;
}

async function readTables(inputs: string[], context: Context): Promise<Read[]> {
  const { parseTable, readTable, studySources } = await import('../report/index.js');
  if (inputs.length === 0) {
    const chunks: Buffer[] = [];
    for await (const chunk of context.stdin) chunks.push(Buffer.from(chunk));
    return [{ table: parseTable(Buffer.concat(chunks), 'standard input'), card: undefined, sources: [] }];
  }
  return await Promise.all(
    namedInputs(inputs).map(async ({ name, path }) => ({
      table: { ...(await readTable(path)), name },
      card: await cardBeside(path),
      sources: await studySources(path),
      trained: await trainedBeside(path),
    })),
  );
}

/** How the run was trained in whose folder a table stands. */
async function trainedBeside(path: string): Promise<ProtocolCard | undefined> {
  const { isRun, readRunConfig } = await import('../io/index.js');
  const folder = dirname(path);
  if (!isRun(folder)) return undefined;
  const { trainedCard } = await import('../jobs/train/diffusion/options.js');
  return { file: path, fields: { trained: trainedCard((await readRunConfig(folder)).config) } };
}

async function cardBeside(path: string): Promise<ProtocolCard | undefined> {
  const card = `${path}.protocol.json`;
  if (!existsSync(card)) return undefined;
  const { readJson } = await import('../io/index.js');
  return { file: path, fields: (await readJson(card, 'a protocol card')) as Record<string, unknown> };
}
