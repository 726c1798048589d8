import { z } from 'zod';
import type { Log } from '../base/index.js';
import type { OpenOptions, Tokenizer } from '../tokenizers/index.js';
import { count, grouped } from '../base/options.js';
import { weights } from '../io/options.js';
import { latentStatistics } from '../tokenizers/options.js';
/** Flags of every command that opens a tokenizer. */
export const openingOptions = grouped('Tokenizer', {
  tokenizer: z
    .string()
    .min(1)
    .describe(
      'run folder, weights file or folder, hf:owner/name, onnx:ENCODER[,DECODER], two files ENCODER,DECODER (also as taef2:ENCODER,DECODER), or features: vit:WEIGHTS (the patch tokens of DINOv2, DINOv3, SigLIP, MAE, CLIP), effnet-lite0:WEIGHTS',
    ),
  tokenizerConfig: z
    .string()
    .optional()
    .describe('JSON or YAML configuration of the weights; default: config.json next to them'),
  latentStatistics,
  imageSize: count.optional().describe('side of the images; default: what the tokenizer was made for'),
  weights: weights.describe(`${weights.description}; for run folders only`),
  offline: z.boolean().default(false).describe('read hf: repositories from the cache only, as HF_HUB_OFFLINE=1 does'),
  allowMissing: z.boolean().default(false).describe('continue even if tensors are missing or unexpected'),
});

type Chosen = z.output<z.ZodObject<typeof openingOptions>>;

/** Opens the tokenizer that the flags name. The engine must be running. */
export async function openChosenTokenizer(
  chosen: Chosen,
  log: Log,
  { only }: { only?: OpenOptions['only'] } = {},
): Promise<Tokenizer> {
  const { openTokenizer } = await import('../tokenizers/index.js');
  return await openTokenizer(chosen.tokenizer, {
    config: chosen.tokenizerConfig,
    statistics: chosen.latentStatistics,
    imageSize: chosen.imageSize,
    weights: chosen.weights,
    allowMissing: chosen.allowMissing,
    offline: chosen.offline || undefined,
    only,
    log,
  });
}
