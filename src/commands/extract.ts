import { z } from 'zod';
import { defineCommand } from './command.js';
import { count } from '../base/options.js';
import { SPLITS } from '../data/names.js';
import { imageKeys } from '../data/options.js';
import { FLOAT_DTYPES, POSTERIORS } from '../io/names.js';
import { decoding } from '../io/options.js';
import { common, force, limit, requeue } from './options.js';
import { openChosenTokenizer, openingOptions } from './tokenizer-options.js';

const options = z.object({
  ...openingOptions,
  data: z.string().min(1).describe('images: a folder, archive or synthetic:scenes (`maetok data` lists the forms)'),
  out: z.string().min(1).describe('latents folder'),
  split: z.enum(SPLITS).default('all').describe('part of the data set'),
  limit: limit.describe('the first N images only'),
  flips: z.boolean().default(false).describe('also extract latents of the mirrored images'),
  posterior: z
    .enum(POSTERIORS)
    .optional()
    .describe('mode or sample of a KL autoencoder’s posterior; default: as in the tokenizer’s own pipeline'),
  batchSize: count.default(8).describe('images per forward pass'),
  dtype: z.enum(FLOAT_DTYPES).default('float32').describe('type of the numbers on disk'),
  shardRows: count.optional().describe('images per shard; default 10000, fewer for large latents'),
  ...imageKeys,
  ...decoding,
  strict: z.boolean().default(false).describe('stop at an image that cannot be read instead of leaving it out'),
  resume: z.boolean().default(false).describe('resume an interrupted extraction into --out'),
  requeue,
  force,
  ...common,
});

export const extract = defineCommand({
  name: 'extract',
  describe:
    'Encodes images into a latents folder: ADM’s centre crop, each tokenizer’s own normalisation, LightningDiT’s shards.',
  examples: [
    ['maetok extract --tokenizer runs/mae --data photos --out latents/mae', 'with a tokenizer trained here'],
    ['maetok extract --tokenizer vavae.pt --data imagenet/train --flips --out latents/vavae', 'as LightningDiT does'],
    ['maetok extract --tokenizer hf:MAETok/maetok-b-128 --data photos --out latents/maetok', 'with published weights'],
    [
      'maetok extract --tokenizer vit:hf:facebook/dinov2-base --data photos --out features/dinov2',
      'features for --repa',
    ],
    ['maetok extract --tokenizer taef2_encoder.pth --image-size 128 --data photos --out latents/taef2', 'a tiny one'],
  ],
  options,
  main: ['tokenizer', 'data', 'out', 'split', 'limit', 'flips', 'batchSize', 'resume', 'force'],
  saves: () => true,
  ranks: () => true,
  async run(chosen, _inputs, context) {
    const { startEngine } = await import('../engine/index.js');
    const { openImages } = await import('../data/index.js');
    const { extractLatents } = await import('../jobs/extract.js');
    await startEngine();
    const tokenizer = await openChosenTokenizer(chosen, context.log, { only: 'encode' });
    try {
      const data = await openImages(chosen.data, { ...chosen, log: context.log });
      try {
        const done = await extractLatents(tokenizer, data, chosen.out, { ...chosen, spec: chosen.tokenizer }, context);
        const left = done.skipped > 0 ? `, ${done.skipped} unreadable ones left out` : '';
        context.log.wrote(
          chosen.out,
          `${chosen.out}: latents of ${done.rows} images by ${tokenizer.name}${left} (${done.imagesPerSecond.toPrecision(3)} images/s)`,
        );
      } finally {
        await data.close();
      }
    } finally {
      tokenizer.dispose();
    }
  },
});
