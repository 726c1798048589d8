import { z } from 'zod';
import { agreeOnOptions } from './agreement.js';
import { defineCommand } from './command.js';
import { count } from '../base/options.js';
import { WEIGHTS } from '../io/names.js';
import { namelessDtype, weights } from '../io/options.js';
import { common, dropNonfinite, force, outFile } from './options.js';
import { card, refuseOutputs, writeTable } from './table.js';

const options = z.object({
  latents: z
    .string()
    .min(1)
    .describe('latents to measure on: the run’s own (training and held-out rows are reported separately) or others'),
  floor: z
    .string()
    .optional()
    .describe(
      'mixture fitted to these latents (analyze-gmm --no-pca --save-model): also report the excess over its lowest possible loss; negative where the network models the data better than the mixture',
    ),
  weights: z
    .enum(['both', ...WEIGHTS])
    .default('both')
    .describe(`${weights.description}; default for published weights: what their file prefers`),
  bins: count.optional().describe('number of bins of t in [0, 1] in which the loss is measured; default: the run’s'),
  samples: count
    .optional()
    .describe('frozen (row, noise, time) triples for each of training and held-out rows; default: the run’s'),
  unconditional: z.boolean().default(false).describe('hide the labels: every row gets the null class'),
  batchSize: count.default(64).describe('rows at a time; affects speed only'),
  heads: count.optional().describe('for published weights: number of attention heads, where it cannot be inferred'),
  dropNonfinite,
  dtype: namelessDtype,
  out: outFile,
  force,
  ...common,
});

const COLUMNS = [
  ...['step', 'split', 'weights', 'bin', 't', 'log_snr', 'loss', 'loss_per_dim', 'target_variance'],
  ...['loss_normalised', 'floor', 'excess', 'rows'],
];

export const diffusionLoss = defineCommand({
  name: 'diffusion-loss',
  describe: 'Measures a diffusion model’s loss by timestep on frozen rows, noise and times (t = 0 noise, t = 1 data).',
  examples: [
    ['maetok diffusion-loss runs/sit --latents latents/mae', 'on the run’s own rows: training and held-out'],
    ['maetok diffusion-loss runs/sit --latents latents/mae-val --out loss.csv', 'on other latents'],
    [
      'maetok diffusion-loss runs/sit --latents latents/mae --floor mixture.npz | maetok plot --y excess',
      'excess loss',
    ],
  ],
  inputs: { name: 'run', describe: 'a run of `train sit-…`, or published weights' },
  options,
  main: ['latents', 'floor', 'bins', 'samples', 'out', 'force'],
  ranks: () => true,
  async run(chosen, [checkpoint], context) {
    const { byFirst } = await import('../distributed/index.js');
    await byFirst(context.communicator, () => refuseOutputs([chosen.out], chosen.force));
    await agreeOnOptions(context, options, chosen, [checkpoint]);
    const { startEngine } = await import('../engine/index.js');
    await startEngine();
    const { diffusionLoss: measure } = await import('../jobs/diffusion-loss/index.js');
    const { rows, card: fields } = await measure(checkpoint, chosen, context);
    await writeTable(
      context,
      COLUMNS.filter(column => chosen.floor !== undefined || (column !== 'floor' && column !== 'excess')),
      rows.map(row => ({ ...row })),
      { ...chosen, protocol: card('diffusion-loss', { ...fields, argv: context.argv }) },
    );
  },
});
