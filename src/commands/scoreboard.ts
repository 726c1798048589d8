import { z } from 'zod';
import { defineCommand } from './command.js';
import { words } from '../base/options.js';
import { common, force, outFile } from './options.js';
import { card, writeTable, type Row } from './table.js';

const options = z.object({
  target: z
    .string()
    .optional()
    .describe('column with the quality of generated images; default: the first present of gfid, fid, generation, fd'),
  measures: words.pipe(z.array(z.string()).min(1)).optional().describe('columns to judge; default: all numeric ones'),
  out: outFile,
  force,
  ...common,
});

export const scoreboard = defineCommand({
  name: 'scoreboard',
  describe:
    'Which cheap measure of a latent space predicts gFID? Rank correlations over tokenizers with intervals, and whether there are enough tokenizers to tell.',
  examples: [
    ['maetok scoreboard', 'the numbers that MAETok’s authors published'],
    ['maetok scoreboard table.csv', 'a row per tokenizer, a column per measure, one called gfid'],
    ['maetok scoreboard study/summary.csv --measures gain,probe', 'of a study run by `maetok compare`'],
    ['maetok scoreboard table.csv | maetok plot --kind bar --x measure --y spearman', 'as a chart'],
  ],
  inputs: {
    name: 'table',
    describe: 'CSV with a row per tokenizer; rows with different values of a column `setting` are not mixed',
    min: 0,
    max: 1,
  },
  options,
  async run({ target, measures, seed, out, force: replace }, inputs, context) {
    const { sha256OfFile } = await import('../io/index.js');
    const { readTable } = await import('../report/index.js');
    const job = await import('../jobs/scoreboard/index.js');
    const path = inputs.at(0) ?? job.PUBLISHED;
    const table = await readTable(path);
    const rows = job.scoreboard(table, { target, measures, seed });
    for (const line of job.omissions(table, { target, measures, seed }, rows)) context.log.warn(line);
    for (const line of job.explanations(rows)) context.log.note(line);
    await writeTable(context, job.SCOREBOARD_COLUMNS, rows as unknown as Row[], {
      out,
      force: replace,
      protocol: card('scoreboard', {
        argv: context.argv,
        table: { path, digest: await sha256OfFile(path) },
        interval: 'Gaussian copula, 95%',
        seed,
      }),
    });
  },
});
