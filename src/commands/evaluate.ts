import { z } from 'zod';
import { explained, namesOf, UserError } from '../base/index.js';
import type { EvaluationRow } from '../jobs/evaluate/index.js';
import { defineCommand } from './command.js';
import { agreeOnOptions } from './agreement.js';
import { evaluateSweep } from './evaluate-sweep.js';
import { namedInputs } from './inputs.js';
import { count, counts, list, nonNegative, whole, words } from '../base/options.js';
import { SPLITS } from '../data/names.js';
import { POSTERIORS } from '../io/names.js';
import { decoding } from '../io/options.js';
import { INTERPOLATIONS, LATENT_METRICS, METRICS, RATIO_METRICS } from '../metrics/names.js';
import { common, decodingOf, force, limit, outFile } from './options.js';
import { card, writeTable, type Row } from './table.js';
import { openChosenTokenizer, openingOptions } from './tokenizer-options.js';

const options = z.object({
  reference: z
    .string()
    .optional()
    .describe('what samples are compared with: images, or a .npz with mu and sigma (ADM’s reference batches)'),
  paired: z
    .boolean()
    .default(false)
    .describe('image k of the input is a reconstruction of image k of --reference: also measure PSNR, SSIM, LPIPS'),
  ...openingOptions,
  tokenizer: openingOptions.tokenizer.optional(),
  data: z.string().optional().describe('with --tokenizer: images to reconstruct'),
  split: z.enum(SPLITS).default('all').describe('part of --data'),
  limit: limit.describe('only the first N images of each input (with --paired, of the reference too) or of --data'),
  size: count.optional().describe('centre-crop images to this side (as ADM does); default: no cropping'),
  validation: z
    .string()
    .optional()
    .describe('held-out images, compared with --reference as well: the unit of the ratio fdr'),
  features: words
    .optional()
    .describe(
      'inception:WEIGHTS (FID), vit:WEIGHTS (DINOv2 for FD-DINOv2, MAE, SigLIP, CLIP), effnet-lite0:WEIGHTS, onnx:FILE, hog or pixels (their distances are called fd, kd); several, separated by commas, for sets of samples',
    ),
  metrics: words
    .pipe(z.array(z.enum([...namesOf(METRICS), ...namesOf(RATIO_METRICS), ...namesOf(LATENT_METRICS)])).min(1))
    .optional()
    .describe(
      `feature-based metrics; default: all that the features allow but mind and cmmd, of reconstructions the Fréchet distance only; ${[METRICS, RATIO_METRICS, LATENT_METRICS].map(explained).join('; ')}`,
    ),
  latents: z
    .string()
    .optional()
    .describe('with --tokenizer: its latents of training images (maetok extract), for iFID of --data'),
  interpolation: z
    .enum(namesOf(INTERPOLATIONS))
    .default('slerp')
    .describe(`how iFID interpolates; ${explained(INTERPOLATIONS)}`),
  withinClass: z
    .boolean()
    .default(false)
    .describe('iFID interpolates with training latents of the image’s own class only'),
  latentNoise: list(z.array(nonNegative).min(1))
    .refine(levels => new Set(levels).size === levels.length, 'names a level twice')
    .optional()
    .describe(
      'with --tokenizer: decode latents with this much noise, in standard deviations of each channel, e.g. 0,0.1,0.2,0.4; a row per level',
    ),
  lpips: z.string().optional().describe('LPIPS’s weights: one file, or VGG16_FILE,LIN_FILE'),
  posterior: z
    .enum(POSTERIORS)
    .optional()
    .describe('of a KL autoencoder: the mode or a sample; default: as in its own pipeline'),
  batchSize: count.default(16).describe('images per forward pass'),
  bootstrap: whole
    .default(20)
    .describe('bootstrap resamples for the interval of a Fréchet distance; 0: no interval, less memory'),
  directions: count.default(10_000).describe('directions of MIND, drawn by seed; torch-fidelity’s number'),
  sweep: z
    .string()
    .optional()
    .describe(
      'sample a diffusion checkpoint with each of these settings: cfg=1:3:0.25,interval=0:1|0.2:0.8,steps=25 ' +
        '(options of `maetok sample`: one value, several separated by |, or first:last:step)',
    ),
  num: counts
    .default([1000, 10000])
    .describe('with --sweep: number of samples for every setting, then for the best of them; default 1000,10000'),
  best: count.default(3).describe('with --sweep: how many settings are measured again on more samples'),
  resume: z.boolean().default(false).describe('with --sweep: continue --out, measuring only what is missing'),
  ...decoding,
  strict: z.boolean().default(false).describe('stop at an image that cannot be read instead of leaving it out'),
  out: outFile,
  force,
  ...common,
});
type Options = z.output<typeof options>;

export const evaluate = defineCommand({
  name: 'evaluate',
  describe:
    'Compares generated images with real ones (FID, sFID, IS, precision, recall, KID), or reconstructions with their originals (rFID, PSNR, SSIM, LPIPS).',
  examples: [
    [
      'maetok evaluate sit=samples.npz --reference VIRTUAL_imagenet256_labeled.npz --features inception:pt_inception-2015-12-05-6726825d.pth',
      'gFID and related metrics against ADM’s reference batches',
    ],
    [
      'maetok evaluate --tokenizer runs/mae --data imagenet/val --size 256 --lpips vgg16.pth,vgg.pth',
      'how well a tokenizer reconstructs',
    ],
    [
      'maetok evaluate --tokenizer runs/mae --data imagenet/val --latents latents/mae --metrics ifid --features inception:pt_inception-2015-12-05-6726825d.pth',
      'iFID: held-out latents interpolated with training latents, decoded',
    ],
    [
      'maetok evaluate --tokenizer runs/mae --data imagenet/val --latent-noise 0,0.1,0.2,0.4,0.8 --out noise.csv',
      'how a decoder bears noise on its latents; `maetok plot noise.csv` draws it',
    ],
    [
      'maetok evaluate samples --reference photos --features vit:hf:facebook/dinov2-large',
      'FD-DINOv2, by the weights on the hub',
    ],
    ['maetok evaluate a=samples/a b=samples/b --reference photos --features hog', 'without any weights'],
    ['maetok evaluate recon --reference originals --paired', 'reconstructions made elsewhere'],
    [
      "maetok evaluate runs/sit --sweep 'cfg=1:3:0.25,interval=0:1|0.2:0.8' --reference photos --features hog --out sweep.csv",
      'find the best guidance',
    ],
  ],
  inputs: {
    name: 'images',
    describe: 'generated images, each optionally named (sit=samples.npz); with --sweep, a diffusion checkpoint',
    min: 0,
    max: 64,
  },
  options,
  main: ['reference', 'tokenizer', 'data', 'metrics', 'features', 'sweep', 'num', 'limit', 'out', 'force'],
  saves: ({ sweep }) => sweep !== undefined,
  ranks: () => true,
  async run(chosen, inputs, context) {
    checkUsage(chosen, inputs);
    await agreeOnOptions(context, options, chosen, inputs);
    const { agreeOnEach, byFirst } = await import('../distributed/index.js');
    const { startEngine } = await import('../engine/index.js');
    const { openExtractor, openLpips } = await import('../features/index.js');
    const { refuseExisting } = await import('../io/index.js');
    const job = await import('../jobs/evaluate/index.js');
    const { communicator } = context;
    await byFirst(communicator, () => {
      if (chosen.out !== undefined) refuseExisting(chosen.out, chosen.force || chosen.resume);
    });
    await startEngine();
    const perceptual = chosen.lpips === undefined ? undefined : await openLpips(chosen.lpips);
    const opening = { offline: chosen.offline || undefined, log: context.log };
    const {
      features = [],
      tokenizer,
      data,
      reference,
      validation,
      seed,
      bootstrap,
      directions,
      size,
      precision,
    } = chosen;
    const rows: EvaluationRow[] = [];
    const networks: Record<string, unknown>[] = [];
    let fields: Record<string, unknown> = {};
    try {
      // One network at a time, since several may not fit into memory.
      for (const spec of features.length > 0 ? features : [undefined]) {
        const extractor = spec === undefined ? undefined : await openExtractor(spec, opening);
        const judges = { extractor, perceptual };
        try {
          await agreeOnEach(communicator, {
            [`--features ${spec}: the digest`]: extractor?.digest,
            [`--lpips ${chosen.lpips}: the digest`]: perceptual?.digest,
          });
          if (chosen.sweep !== undefined) {
            const metrics = await job.metricsFor(chosen, ({ sweep }) => sweep !== undefined, extractor);
            await evaluateSweep({ ...chosen, sweep: chosen.sweep, metrics }, inputs[0], extractor!, context);
            return;
          }
          const found =
            tokenizer !== undefined
              ? await job.evaluateTokenizer(
                  () => openChosenTokenizer({ ...chosen, tokenizer }, context.log),
                  { ...chosen, tokenizer, data: data! },
                  judges,
                  context,
                )
              : await job.evaluateSets(namedInputs(inputs), { ...chosen, reference: reference! }, judges, context);
          rows.push(...found.rows);
          fields = found.card;
          networks.push(...(extractor ? [job.featuresCard(extractor)] : []));
        } finally {
          extractor?.dispose();
        }
      }
    } finally {
      perceptual?.dispose();
    }
    if (validation !== undefined) rows.push(...job.distanceRatios(rows, context.log));
    const columns = [...job.EVALUATION_COLUMNS, ...(chosen.latentNoise ? ['latent_noise'] : [])];
    await writeTable(context, columns, rows as unknown as Row[], {
      out: chosen.out,
      force: chosen.force,
      protocol: card('evaluate', {
        argv: context.argv,
        decoding: decodingOf(chosen),
        ...fields,
        crop: size === undefined ? 'none' : `center (ADM) ${size}`,
        features: networks.length > 1 ? networks : networks[0],
        lpips: perceptual?.digest,
        bootstrap,
        directions: chosen.metrics?.includes('mind') ? directions : undefined,
        precision,
        seed,
      }),
    });
  },
});

const OF_LATENTS: readonly string[] = namesOf(LATENT_METRICS);
const NO_LATENTS = `${OF_LATENTS.join(' and ')} are of a tokenizer’s latents: give --tokenizer and --data (ifid: --latents too)`;

function checkSweep({ reference, features, out, data, paired, metrics }: Options, inputs: string[]): void {
  if (inputs.length !== 1)
    throw new UserError(`--sweep samples one diffusion checkpoint, ${inputs.length} inputs were given`);
  if (data !== undefined || paired) throw new UserError('--sweep draws its own samples; leave out --data and --paired');
  if (metrics?.some(name => OF_LATENTS.includes(name))) throw new UserError(NO_LATENTS);
  if (reference === undefined) throw new UserError('--sweep needs --reference: the images to compare with');
  if (features === undefined) throw new UserError(`--sweep needs --features, e.g. inception:WEIGHTS or hog`);
  if (out === undefined) throw new UserError('--sweep needs --out FILE.csv; samples and charts are written next to it');
}

function checkInterpolation({ latents, metrics, features }: Options): void {
  const asked = metrics?.includes('ifid') ?? latents !== undefined;
  if (asked && latents === undefined)
    throw new UserError('--metrics ifid needs --latents: this tokenizer’s latents of training images (maetok extract)');
  if (!asked && latents !== undefined) throw new UserError('--latents is for --metrics ifid, which is not among them');
  if (asked && features === undefined) throw new UserError('ifid needs --features, e.g. inception:WEIGHTS or hog');
}

/** Ratios of Fréchet distances, and several extractors, are of sets of samples alone. */
function checkRatios({ metrics, validation, features = [], paired, sweep, tokenizer }: Options): void {
  const ofSamples = sweep === undefined && tokenizer === undefined && !paired;
  if (features.length > 1 && !ofSamples)
    throw new UserError(
      `--features: takes one extractor here, ${features.length} were given; several are for sets of samples`,
    );
  if (validation !== undefined && !ofSamples)
    throw new UserError('--validation is the unit of fdr, which is of sets of samples; leave it out');
  const asked = metrics?.includes('fdr');
  if (asked && validation === undefined)
    throw new UserError('--metrics fdr needs --validation: held-out images, whose distance to --reference is the unit');
  if (asked === false && validation !== undefined)
    throw new UserError('--validation is for --metrics fdr, which is not among them');
}

function checkUsage(chosen: Options, inputs: string[]): void {
  checkRatios(chosen);
  const { tokenizer, data, reference, paired, sweep, resume, latents, metrics, latentNoise } = chosen;
  if (sweep !== undefined) {
    checkSweep(chosen, inputs);
    return;
  }
  if (resume) throw new UserError('--resume works with --sweep only; repeat other evaluations with --force');
  if (tokenizer !== undefined) {
    if (data === undefined) throw new UserError('--tokenizer needs --data: the images to reconstruct');
    if (inputs.length > 0 || reference !== undefined)
      throw new UserError('--tokenizer reconstructs --data itself; leave out the input images and --reference');
    checkInterpolation(chosen);
    return;
  }
  if (latents !== undefined || metrics?.some(name => OF_LATENTS.includes(name))) throw new UserError(NO_LATENTS);
  if (latentNoise !== undefined)
    throw new UserError('--latent-noise is added to a tokenizer’s latents: give --tokenizer and --data');
  if (inputs.length === 0) throw new UserError('evaluate needs images, or --tokenizer and --data; --help has examples');
  if (reference === undefined) throw new UserError(`${inputs[0]}: needs --reference: the images to compare with`);
  if (paired && inputs.length > 1) throw new UserError(`--paired takes one input, ${inputs.length} were given`);
}
