import { z } from 'zod';
import { explained, namesOf, UserError } from '../base/index.js';
import { byFirst } from '../distributed/index.js';
import { agreeOnCard } from './agreement.js';
import { defineCommand } from './command.js';
import { count, number, words } from '../base/options.js';
import { MEASURE_GROUPS } from '../diagnose/names.js';
import { HIDDEN_STATES_FORM } from '../jobs/hidden-states/options.js';
import { namelessDtype } from '../io/options.js';
import { common, drawn, dropNonfinite, force, limit, outFile } from './options.js';
import { card, refuseOutputs, writeTable, type Row } from './table.js';

const COLUMNS = ['source', 'group', 'measure', 'value', 'setting', 'rows'];

const options = z.object({
  measure: words
    .pipe(z.array(z.enum(namesOf(MEASURE_GROUPS))).min(1))
    .default(namesOf(MEASURE_GROUPS))
    .describe(explained(MEASURE_GROUPS)),
  features: z
    .string()
    .optional()
    .describe(
      `features of the same images in the same order, for CKNNA: latents, or hidden states, ${HIDDEN_STATES_FORM}`,
    ),
  masks: z
    .string()
    .optional()
    .describe(
      'foreground masks of the same images in the same order, for SRSS and LNC: a folder of images or a .npz; anything but 0 is foreground',
    ),
  neighbours: number
    .int('must be a whole number')
    .min(2, 'must be 2 or more')
    .default(10)
    .describe('k of the MLE dimension and of CKNNA'),
  sample: count.default(10_000).describe('maximum number of rows, drawn by seed, for measures of pairs of rows'),
  positions: count.default(10_000).describe('number of tokens, one from each image, for the uniformity'),
  threads: count.optional().describe('threads to use; default: all cores'),
  limit,
  rows: drawn,
  dropNonfinite,
  dtype: namelessDtype,
  out: outFile,
  force,
  ...common,
});

export const diagnose = defineCommand({
  name: 'diagnose',
  describe:
    'Measures the shape of latent spaces: rank, intrinsic dimension, isotropy, tokens, classes, uniformity, and what predicts generation (VIV, LNC, SEC, …).',
  examples: [
    ['maetok diagnose mae=latents/mae ae=latents/ae', 'all measures of two latent spaces'],
    ['maetok diagnose latents/mae --measure alignment --features dino.npy', 'CKNNA against DINOv2’s features'],
    [
      'maetok diagnose sit:runs/sit-mae@block8,t=0.5 --measure alignment --features dino.npy',
      'CKNNA of hidden states, as REPA reports it',
    ],
    ['maetok diagnose latents/vae --measure diffusability --masks masks', 'VIV, LNC, SEC, LDS, CDS, RMSC, SRSS'],
    ['maetok diagnose latents/mae --measure spectrum,dimension --limit 5000', 'some measures of some rows'],
  ],
  inputs: { name: 'latents', describe: 'latents folders or files, each optionally named (mae=PATH)', max: 64 },
  options,
  main: ['measure', 'features', 'masks', 'sample', 'limit', 'out', 'force'],
  ranks: () => true,
  async run(chosen, inputs, context) {
    const { log, communicator } = context;
    await byFirst(communicator, () => refuseOutputs([chosen.out], chosen.force));
    if (chosen.masks !== undefined && !chosen.measure.includes('diffusability'))
      throw new UserError('--masks is for --measure diffusability, which is not among the measures');
    if (chosen.masks !== undefined && chosen.rows !== undefined)
      throw new UserError(
        '--masks belong to the images in order; take the first ones by --limit instead of drawing --rows',
      );
    const { startEngineFor } = await import('../engine/index.js');
    const { digestsOf, hiddenStatesOf, openNamedLatents } = await import('./open-latents.js');
    const { dropNonfinite, limit, rows: drawn, dtype: nameless } = chosen;
    const opening = { dropNonfinite, limit, drawn, nameless, seed: chosen.seed, log, communicator };
    const sources = await openNamedLatents(inputs, opening);
    const features = (await openNamedLatents(chosen.features === undefined ? [] : [chosen.features], opening)).at(0);
    const [{ diagnoseLatents, openMasks }] = await Promise.all([
      import('../jobs/diagnose/index.js'),
      startEngineFor([...sources, ...(features ? [features] : [])].map(({ rows }) => rows)),
    ]);
    const { neighbours, sample, positions, seed, threads } = chosen;
    const settings = { neighbours, sample, positions, seed };
    const origins = {
      sources: await digestsOf(sources),
      features: await features?.digest(),
      hiddenStates: hiddenStatesOf(features ? [...sources, features] : sources),
    };
    const masks = chosen.masks === undefined ? undefined : await openMasks(chosen.masks, limit, log);
    const work = card('diagnose', {
      ...origins,
      masks: masks?.digest,
      ...settings,
      limit,
      rows: drawn,
      dropNonfinite,
    });
    const rows: Row[] = [];
    try {
      await agreeOnCard(communicator, { ...work, measure: chosen.measure });
      for (const source of sources) {
        const found = await diagnoseLatents(
          source,
          { groups: chosen.measure, features: features?.rows, masks, threads, communicator, ...settings },
          log,
        );
        rows.push(...found.map(row => ({ ...row })));
      }
    } finally {
      await masks?.close();
    }
    await writeTable(context, COLUMNS, rows, {
      out: chosen.out,
      force: chosen.force,
      protocol: { ...work, argv: context.argv },
    });
  },
});
