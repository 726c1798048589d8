import { z } from 'zod';
import { explained, namesOf } from '../base/index.js';
import { count, positive, words } from '../base/options.js';
import { EXTRAS, LAUNCHERS } from '../compare/names.js';
import { common, force } from './options.js';

/** Of every study, the demo included. */
export const studyOptions = z.object({
  out: z.string().optional().describe('folder of the study; default: its name'),
  dryRun: z
    .boolean()
    .default(false)
    .describe('print the command lines of the study, or its jobs’ scripts; run nothing'),
  force: force.describe('start the study again from scratch; otherwise finished steps are kept'),
  watch: z
    .boolean()
    .default(false)
    .describe('write the report after every step; the open page loads itself again while the study runs'),
  open: z.boolean().default(false).describe('open the report in the browser'),
  jobs: count
    .optional()
    .describe('number of independent steps that run at once here, each in its own process with its share of the cores'),
  launch: z
    .enum(namesOf(LAUNCHERS))
    .default('local')
    .describe(`where steps run: ${explained(LAUNCHERS)}`),
  ranks: count.optional().describe('of --launch mpi and slurm: processes that share a step’s work, where they can'),
  mpirun: z
    .string()
    .optional()
    .describe('what starts them, `-n RANKS` follows; default: mpirun, within a job of Slurm srun'),
  slurmArgs: z
    .string()
    .optional()
    .describe('further options of sbatch for every step: --slurm-args="--partition=gpu"; after those of the study'),
  ...common,
});

export const compareOptions = studyOptions.extend({
  data: z.string().optional().describe('images to use instead of the study’s; for tokenizers: the images to encode'),
  test: z.string().optional().describe('images for probes and evaluation, instead of the study’s'),
  features: z
    .string()
    .optional()
    .describe(
      'feature extractor of `evaluate`, instead of the study’s (see `evaluate`); default of --with samples: hog',
    ),
  minutes: positive
    .default(5)
    .describe('of latents and tokenizers: the time for which rows, components and steps are chosen'),
  with: words
    .pipe(z.array(z.enum(namesOf(EXTRAS))))
    .default([])
    .describe(`of latents and tokenizers: also ${explained(EXTRAS)}`),
});
