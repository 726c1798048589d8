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
  partial: words
    .pipe(z.array(z.string()).min(1))
    .optional()
    .describe('columns to hold fixed: also the partial rank correlation, e.g. given dims,reconstruction'),
  leaveOut: z
    .string()
    .optional()
    .describe('a column that groups tokenizers, e.g. family: also the range of the correlation without each group'),
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
    [
      'maetok scoreboard study/summary.csv --partial dims,reconstruction --leave-out family',
      'is it more than size and fidelity, and does one family make it?',
    ],
    ['maetok scoreboard table.csv | maetok plot --kind bar --x measure --y spearman', 'as a chart'],
  ],
  inputs: {
    name: 'table',
    describe: 'CSV with a row per tokenizer; rows with different values of a column `setting` are not mixed',
    min: 0,
    max: 1,
  },
  options,
  async run({ out, force: replace, ...chosen }, inputs, context) {
    const { sha256OfFile } = await import('../io/index.js');
    const { readTable } = await import('../report/index.js');
    const job = await import('../jobs/scoreboard/index.js');
    const path = inputs.at(0) ?? job.PUBLISHED;
    const table = await readTable(path);
    const { seed, partial, leaveOut } = chosen;
    const rows = job.scoreboard(table, chosen, context.log);
    for (const line of job.omissions(table, chosen, rows)) context.log.warn(line);
    for (const line of job.explanations(rows)) context.log.note(line);
    await writeTable(context, job.scoreboardColumns(chosen), rows as unknown as Row[], {
      out,
      force: replace,
      protocol: card('scoreboard', {
        argv: context.argv,
        table: { path, digest: await sha256OfFile(path) },
        interval: 'Gaussian copula, 95%',
        partial,
        partialInterval: partial && 'Fisher’s z, Bonett and Wright, 95%',
        leaveOut,
        seed,
      }),
    });
  },
});
