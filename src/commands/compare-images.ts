import { z } from 'zod';
import { UserError } from '../base/index.js';
import { defineCommand, type Context } from './command.js';
import { namedInputs } from './inputs.js';
import { count, words } from '../base/options.js';
import { decoding } from '../io/options.js';
import { common, force, limit } from './options.js';
import { writeTable, type Row } from './table.js';

const options = z.object({
  out: z.string().optional().describe('the page to write: FILE.html; with --judgments, a CSV instead of stdout'),
  num: count.default(50).describe('pairs to judge, drawn by seed'),
  question: z.string().default('Which image looks better?').describe('what the page asks'),
  judgments: words
    .pipe(z.array(z.string()).min(1))
    .optional()
    .describe('tables saved by the page, one per judge: count how often each set wins'),
  limit: limit.describe('the first N images of each set'),
  ...decoding,
  strict: z.boolean().default(false).describe('stop at an image that cannot be read instead of leaving its pair out'),
  force,
  ...common,
});
type Options = z.output<typeof options>;

export const compareImages = defineCommand({
  name: 'compare-images',
  describe:
    'Writes one HTML page for blind pairwise judgments of two sets of images, and counts the judgments saved by it.',
  examples: [
    ['maetok compare-images mae=samples/mae ae=samples/ae --out judge.html', 'open it in a browser; arrow keys judge'],
    ['maetok compare-images --judgments judgments-ann.csv,judgments-bob.csv', 'wins, ties, losses with intervals'],
  ],
  inputs: {
    name: 'images',
    describe: 'two sets, image k against image k, each optionally named (mae=samples/mae)',
    min: 0,
    max: 2,
  },
  options,
  main: ['out', 'num', 'question', 'judgments', 'limit', 'force'],
  async run(chosen, inputs, context) {
    if (chosen.judgments === undefined) await writePage(chosen, inputs, context);
    else await countJudgments(chosen.judgments, chosen, inputs, context);
  },
});

async function writePage(chosen: Options, inputs: string[], context: Context): Promise<void> {
  const { out } = chosen;
  if (inputs.length !== 2) throw new UserError('compare-images needs two sets of images, or --judgments FILE.csv');
  if (out === undefined) throw new UserError('compare-images needs --out FILE.html: the page to write');
  const { openImages } = await import('../data/index.js');
  const { refuseExisting, writeFileAtomic } = await import('../io/index.js');
  const { comparisonPage } = await import('../jobs/compare-images/index.js');
  refuseExisting(out, chosen.force);
  const [a, b] = await Promise.all(
    namedInputs(inputs).map(async ({ name, path }) => ({
      name,
      images: await openImages(path, { ...chosen, log: context.log }),
    })),
  );
  try {
    await writeFileAtomic(out, await comparisonPage(a, b, chosen, context.log), { force: chosen.force });
  } finally {
    await a.images.close();
    await b.images.close();
  }
  context.log.wrote(out, `wrote ${out}: open it in a browser, then count the judgments it saves with --judgments`);
}

async function countJudgments(paths: string[], chosen: Options, inputs: string[], context: Context): Promise<void> {
  if (inputs.length > 0) throw new UserError(`--judgments reads saved tables; leave out ${inputs.join(' ')}`);
  const { JUDGMENT_COLUMNS, readJudgments } = await import('../jobs/compare-images/index.js');
  const { rows, agreement } = await readJudgments(paths);
  if (agreement !== undefined)
    context.log.note(
      `the judges agree on ${(100 * agreement).toFixed(0)} % of the pairs judged by more than one of them`,
    );
  const { out, force: replace } = chosen;
  await writeTable(context, JUDGMENT_COLUMNS, rows as unknown as Row[], { out, force: replace });
}
