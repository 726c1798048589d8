import { z } from 'zod';

/** `--latent-statistics` of every command that opens a tokenizer. */
export const latentStatistics = z
  .string()
  .optional()
  .describe(
    'file or latents folder whose mean and standard deviation (one, per channel or per position) normalise the latents: latents_stats.pt, stat.pt, X-latents-stats.pt, latents.json; default: what the weights and their config say',
  );
