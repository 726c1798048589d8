import { z } from 'zod';
import { explained, namesOf, UserError } from '../base/index.js';
import { byFirst } from '../distributed/index.js';
import type { ProbeSource } from '../jobs/probe/index.js';
import { agreeOnCard } from './agreement.js';
import { defineCommand, type Context } from './command.js';
import { digestsOf, hiddenStatesOf, openNamedLatents } from './open-latents.js';
import { count, counts, list, number, positive, words } from '../base/options.js';
import { decoding, namelessDtype } from '../io/options.js';
import { HIDDEN_STATES_FORM, readHiddenStates } from '../jobs/hidden-states/options.js';
import { CONTROLS, FEATURES, VOTES } from '../probe/names.js';
import { PROBES } from '../probe/protocols/names.js';
import { common, decodingOf, drawn, dropNonfinite, force, outFile } from './options.js';
import { card, refuseOutputs, writeTable, type Row } from './table.js';

const NAME = ['source', 'feature', 'probe', 'setting', 'control'];
const ACCURACY = ['accuracy', 'accuracy_low', 'accuracy_high'];
const COLUMNS = [
  ...NAME,
  ...['dims', 'train_rows', 'test_rows', 'classes', ...ACCURACY, 'top5', 'calibration_error', 'converged'],
];
const CLASS_COLUMNS = [...NAME, 'class', 'test_rows', ...ACCURACY];
const CONFUSION_COLUMNS = [...NAME, 'class', 'taken_for', 'test_rows', 'share'];

const options = z.object({
  feature: words
    .pipe(z.array(z.enum(namesOf(FEATURES))).min(1))
    .default(namesOf(FEATURES))
    .describe(`input of the probe; ${explained(FEATURES)}`),
  features: z
    .string()
    .optional()
    .describe(`probe a diffusion model’s hidden states on the latents in their place: ${HIDDEN_STATES_FORM}`),
  probe: words
    .pipe(z.array(z.enum(namesOf(PROBES))).min(1))
    .default(['logistic', 'knn'])
    .describe(explained(PROBES)),
  control: words
    .pipe(z.array(z.enum(namesOf(CONTROLS))).min(1))
    .default(['none'])
    .describe(explained(CONTROLS)),
  dims: count.optional().describe('dimensions kept by projections; default: those of the narrowest source'),
  pixels: z
    .string()
    .optional()
    .describe(
      'also probe the raw pixels of these images, in the order of the latents; with --test, of their train and val parts',
    ),
  pixelsSize: count.default(32).describe('side to which the images of --pixels are cropped'),
  ...decoding,
  test: z.string().optional().describe('latents of a test set; default: rows held out at random'),
  split: number
    .gt(0)
    .lt(1, 'must be between 0 and 1')
    .default(0.8)
    .describe('fraction of rows for training, without --test'),
  c: list(z.array(positive).min(1))
    .default([1e-4, 1e-3, 1e-2, 0.1, 1])
    .describe('inverse penalties C (as in scikit-learn), of which the best on a validation part is chosen'),
  neighbours: counts.default([20]).describe('k of the nearest-neighbour probe'),
  votes: z
    .enum(namesOf(VOTES))
    .default('weighted')
    .describe(`votes of neighbours; ${explained(VOTES)}`),
  shots: counts.default([1, 5, 10]).describe('rows per class of the few-shot probe'),
  perClass: z.string().optional().describe('CSV of the accuracy of every class'),
  confusion: z.string().optional().describe('CSV of the confusion matrix'),
  rows: drawn,
  dropNonfinite,
  dtype: namelessDtype,
  out: outFile,
  force,
  ...common,
});

export const probe = defineCommand({
  name: 'probe',
  describe: 'Trains probes on latents: how well can a linear classifier predict the class from them?',
  examples: [
    ['maetok probe mae=latents/mae ae=latents/ae', 'two latent spaces side by side'],
    ['maetok probe latents/train --test latents/val --probe knn --neighbours 10,20,100,200', 'k-NN on a test set'],
    ['maetok probe latents/mae --control none,shuffled-labels', 'compared with chance'],
    ['maetok probe latents/mae --pixels photos --control none,pca', 'against raw pixels, also at equal dimensions'],
    [
      'maetok probe latents/mae --features sit:runs/sit-mae@block8,t=0.5 --feature mean',
      'hidden states of a diffusion model; labels=given tells it the classes',
    ],
    ['maetok probe latents/mae --per-class classes.csv --confusion confusion.csv', 'which classes it confuses'],
  ],
  inputs: {
    name: 'latents',
    describe: 'latents folders or files with labels, each optionally named (mae=PATH)',
    min: 0,
    max: 64,
  },
  options,
  main: ['probe', 'control', 'test', 'split', 'dims', 'perClass', 'confusion', 'out', 'force'],
  ranks: () => true,
  async run(chosen, inputs, context) {
    const { communicator, log } = context;
    await byFirst(communicator, () => refuseOutputs([chosen.out, chosen.perClass, chosen.confusion], chosen.force));
    const { startEngine, startEngineFor } = await import('../engine/index.js');
    const { sources, digests, hiddenStates } = await openSources(chosen, inputs, context);
    // Heads that are trained by gradients have work enough for any engine.
    const solved = chosen.probe.every(probe => probe === 'logistic' || probe === 'knn');
    const [{ classRows, confusionRows, probeSources }] = await Promise.all([
      import('../jobs/probe/index.js'),
      solved ? startEngineFor(sources.map(({ latents }) => latents.rows)) : startEngine(),
    ]);
    const settings = {
      features: chosen.feature,
      probes: chosen.probe,
      controls: chosen.control,
      dims: chosen.dims,
      trainShare: chosen.split,
      seed: chosen.seed,
      inversePenalties: chosen.c,
      neighbours: chosen.neighbours,
      votes: chosen.votes,
      shots: chosen.shots,
    };
    const work = card('probe', {
      ...settings,
      rows: chosen.rows,
      test: chosen.test,
      pixelsSize: chosen.pixels === undefined ? null : chosen.pixelsSize,
      decoding: chosen.pixels === undefined ? null : decodingOf(chosen),
      sources: digests,
      hiddenStates,
    });
    await agreeOnCard(communicator, work);
    const probed = await probeSources(sources, { ...settings, communicator }, log);
    const protocol = { ...work, argv: context.argv };
    const table = (out: string | undefined, columns: string[], rows: object[]): Promise<void> =>
      writeTable(context, columns, rows as Row[], { out, force: chosen.force, protocol });
    if (chosen.perClass !== undefined) await table(chosen.perClass, CLASS_COLUMNS, probed.flatMap(classRows));
    if (chosen.confusion !== undefined) await table(chosen.confusion, CONFUSION_COLUMNS, probed.flatMap(confusionRows));
    await table(
      chosen.out,
      COLUMNS,
      probed.map(({ row }) => row),
    );
  },
});

/** The latent spaces, raw pixels if requested, and digests of all of them. */
async function openSources(
  chosen: z.output<typeof options>,
  inputs: string[],
  { log, communicator }: Context,
): Promise<{ sources: ProbeSource[]; digests: Record<string, string>; hiddenStates: unknown }> {
  const { test: testPath, pixels, pixelsSize: size, dropNonfinite: drop, dtype, rows: drawn } = chosen;
  if (inputs.length === 0 && pixels === undefined)
    throw new UserError('nothing to probe: name latents (mae=latents/mae), or images with --pixels');
  if (pixels !== undefined && drawn !== undefined)
    throw new UserError('--pixels probes all images; leave out --rows, or --pixels');
  const { features: hidden, seed } = chosen;
  if (hidden !== undefined) readHiddenStates(hidden);
  const opening = { log, communicator, dropNonfinite: drop, nameless: dtype, seed, hiddenStates: hidden };
  const opened = await openNamedLatents(inputs, { ...opening, drawn });
  const test = testPath === undefined ? undefined : (await openNamedLatents([testPath], opening))[0];
  const sources: ProbeSource[] = opened.map(latents => ({ latents, test }));
  const digests = await digestsOf(opened);
  const hiddenStates = hiddenStatesOf(opened);
  if (pixels === undefined) return { sources, digests, hiddenStates };
  const { pixelSource, warnOfOtherImages } = await import('../jobs/probe/index.js');
  const reading = { ...decodingOf(chosen), size, tested: test !== undefined, log };
  const { source, digest } = await pixelSource(pixels, reading);
  for (const { latents } of sources) warnOfOtherImages(source.latents, latents, log);
  return { sources: [...sources, source], digests: { ...digests, pixels: digest }, hiddenStates };
}
