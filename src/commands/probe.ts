import { z } from 'zod';
import { VERSION, type Log } from '../base/index.js';
import { defineCommand } from './command.js';
import { namedInput } from './inputs.js';
import { common, counts, dropNonfinite, force, number, outFile, positive, words } from './options.js';
import { writeTable, type Row } from './table.js';

const COLUMNS = [
  'source',
  'feature',
  'probe',
  'setting',
  'control',
  'dims',
  'train_rows',
  'test_rows',
  'classes',
  'accuracy',
  'accuracy_low',
  'accuracy_high',
  'top5',
  'calibration_error',
  'converged',
];

const options = z.object({
  feature: words
    .pipe(z.array(z.enum(['flattened', 'mean'])).min(1))
    .default(['flattened', 'mean'])
    .describe('what the probe sees: all numbers of a latent, or each channel’s mean over the tokens'),
  probe: words
    .pipe(z.array(z.enum(['logistic', 'knn', 'mae', 'dinov2', 'attentive', 'few-shot'])).min(1))
    .default(['logistic', 'knn'])
    .describe(
      'logistic: L-BFGS multinomial regression; knn: cosine, votes weighted by exp(similarity / 0.07); ' +
        'mae: BatchNorm, LARS, cosine (with --feature mean this is REPA’s); dinov2: 13 learning rates, the best on ' +
        'validation rows; attentive: a learned query over the tokens; few-shot: logistic on a few rows per class',
    ),
  control: words
    .pipe(z.array(z.enum(['none', 'shuffled-labels'])).min(1))
    .default(['none'])
    .describe('also probe with labels shuffled: what chance alone gives'),
  test: z.string().optional().describe('latents of a test set; default: rows held out by seed'),
  split: number
    .gt(0)
    .lt(1, 'must be between 0 and 1')
    .default(0.8)
    .describe('share of rows for training where there is no --test'),
  c: z
    .preprocess(value => (typeof value === 'string' ? value.split(',') : value), z.array(positive).min(1))
    .default([1e-4, 1e-3, 1e-2, 0.1, 1])
    .describe('scikit-learn’s inverse penalties C to choose from on a validation part'),
  neighbours: counts.default([20]).describe('k of the nearest-neighbour probe'),
  shots: counts.default([1, 5, 10]).describe('rows per class of the few-shot probe'),
  dropNonfinite,
  out: outFile,
  force,
  ...common,
});

export const probe = defineCommand({
  name: 'probe',
  describe: 'Trains linear probes on latents: how well does a linear classifier read the class from them?',
  examples: [
    ['maetok probe mae=latents/mae ae=latents/ae', 'two latent spaces side by side'],
    ['maetok probe latents/train --test latents/val --probe knn --neighbours 10,20,100,200', 'k-NN on a test set'],
    ['maetok probe latents/mae --control none,shuffled-labels', 'with chance beside it'],
  ],
  inputs: { name: 'latents', describe: 'latents folders or files with labels, each may be named (mae=PATH)', max: 64 },
  options,
  async run(chosen, inputs, context) {
    const { startEngine } = await import('../engine/index.js');
    const { openLatents } = await import('../latents/index.js');
    const { probeLatents } = await import('../jobs/probe.js');
    await startEngine();
    const settings = {
      features: chosen.feature,
      probes: chosen.probe,
      controls: chosen.control,
      trainShare: chosen.split,
      seed: chosen.seed,
      inversePenalties: chosen.c,
      neighbours: chosen.neighbours,
      shots: chosen.shots,
    };
    const rows: Row[] = [];
    const test = chosen.test === undefined ? undefined : await opened(chosen.test, context.log);
    for (const input of inputs) {
      const latents = await opened(input, context.log);
      rows.push(...(await probeLatents(latents, test, settings, context.log)).map(row => ({ ...row })));
    }
    await writeTable(context, COLUMNS, rows, {
      out: chosen.out,
      force: chosen.force,
      protocol: { command: 'probe', version: VERSION, argv: context.argv, ...settings, test: chosen.test ?? null },
    });

    async function opened(input: string, log: Log) {
      const { name, path } = namedInput(input);
      const latents = await openLatents(path, { log, dropNonfinite: chosen.dropNonfinite });
      return { name, rows: latents.rows(), tokens: latents.tokens };
    }
  },
});
