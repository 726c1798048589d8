import { z } from 'zod';
import { count, grouped, whole } from '../base/options.js';
import { ENGINES, PRECISIONS } from '../engine/names.js';
import type { Decoding } from '../io/index.js';

/** Every command has these. */
export const common = grouped('Every command', {
  seed: whole.default(0).describe('seed of every random stream'),
  engine: z.enum(ENGINES).optional().describe('numeric engine; default: the fastest that loads'),
  precision: z.enum(PRECISIONS).default('f32').describe('precision of matrix products; master weights stay f32'),
  quiet: z.boolean().default(false).describe('no progress, warnings only'),
  json: z
    .boolean()
    .default(false)
    .describe('progress, notes and warnings as JSON, an object a line (docs/command-line.md)'),
  verbose: z.boolean().default(false).describe('stack traces and the engine’s own messages'),
  config: z.string().optional().describe('YAML file of options; flags take precedence'),
});

/** The options that say how images are decoded, for the protocol card. */
export const decodingOf = ({ exif, alpha, grey16 }: Decoding): Decoding => ({ exif, alpha, grey16 });

export const force = z.boolean().default(false).describe('replace what is already there');
export const requeue = z
  .boolean()
  .default(false)
  .describe('in a Slurm job: run it again after a warning (sbatch --signal=USR1@60), going on from the saved state');
export const outFile = z
  .string()
  .refine(path => !/\.(png|svg)$/i.test(path), 'must be a table (.csv), not an image; `maetok plot` draws tables')
  .optional()
  .describe('write the CSV here instead of stdout');
export const limit = count.optional().describe('use the first N rows only');
export const drawn = count
  .optional()
  .describe('use at most N rows, drawn by seed; sources of the same images get the same rows');
export const dropNonfinite = z.boolean().default(false).describe('leave out latents that are NaN or infinite');
