import { UserError, type Log } from '../../../base/index.js';
import type { NetworkConfig } from '../../../diffusion/index.js';
import type { NormalisedLatents } from '../../../latents/index.js';
import type { AlignedFeatures } from './features.js';
import type { DiffusionOptions } from './options.js';

/** Width of RAE's head, and of each of its attention heads. */
const PUBLISHED_HEAD = 2048;
const NUMBERS_PER_HEAD = 128;

/** The network of `train MODEL` on these latents. @throws UserError where options and latents do not fit it. */
export async function architecture(
  model: string,
  options: DiffusionOptions,
  { source, classes }: NormalisedLatents,
  features: AlignedFeatures | undefined,
): Promise<NetworkConfig> {
  const { MODELS, networkConfig } = await import('../../../diffusion/index.js');
  const { tokens, channels, grid, name } = source;
  const { patch, qkNorm, gft, repaProjector: kind, repaWidth } = options;
  if (patch > 1 && (!grid || grid.some(side => side % patch !== 0)))
    throw new UserError(
      `${name}: --patch ${patch} needs latents on a grid whose sides it divides; these are ${grid ? `${grid.join('×')} tokens` : `a sequence of ${tokens} tokens`}`,
    );
  const { depth, width } = MODELS[model];
  const after = options.repaAfter ?? Math.min(8, Math.ceil(depth / 2));
  if (features && after > depth) throw new UserError(`--repa-after ${after}: ${model} has ${depth} blocks`);
  if (features) refuseUnplaced(options, source, features);
  const { earlyHead } = options;
  if (earlyHead !== undefined && earlyHead >= depth)
    throw new UserError(`--early-head ${earlyHead}: must be before the last of the ${depth} blocks of ${model}`);
  return networkConfig(
    model,
    { tokens, channels, grid },
    {
      classes,
      patch,
      qkNorm,
      ...headOf(model, width, options),
      beta: gft && 'linear',
      ...(features && {
        projectors: { after, ...(kind && { kind }), width: repaWidth, features: [features.channels] },
      }),
      ...(earlyHead !== undefined && { early: { after: earlyHead } }),
    },
  );
}

/** DDT's head and, as it was published, times embedded at drawn frequencies. */
function headOf(
  model: string,
  width: number,
  { headDepth = 0, headWidth, headHeads }: DiffusionOptions,
): Partial<NetworkConfig> {
  if (headDepth === 0) return {};
  const own = headWidth ?? (model.endsWith('-tiny') ? 2 * width : PUBLISHED_HEAD);
  const heads = headHeads ?? own / NUMBERS_PER_HEAD;
  // Rotary positions on a grid turn pairs of numbers along two axes.
  if (own % (4 * heads) !== 0 || !Number.isInteger(heads))
    throw new UserError(
      `--head-width ${own}: must be a multiple of 4 times ${headHeads === undefined ? `its heads, of ${NUMBERS_PER_HEAD} numbers each; set --head-heads` : `--head-heads ${heads}`}`,
    );
  return { head: { width: own, depth: headDepth, heads }, timeFeatures: 'drawn' };
}

/** A convolution, and statistics over places, need features that lie where the network's tokens do. */
function refuseUnplaced(
  { repa, repaProjector, repaNormalise, patch }: DiffusionOptions,
  { name, tokens, grid }: NormalisedLatents['source'],
  features: AlignedFeatures,
): void {
  const flag =
    repaProjector === 'conv' ? '--repa-projector conv' : repaNormalise === 'spatial' && '--repa-normalise spatial';
  if (!flag) return;
  if (!grid) throw new UserError(`${flag}: needs latents on a grid; those of ${name} are a line of ${tokens} tokens`);
  const sequence = tokens / patch ** 2;
  if (features.tokens !== sequence)
    throw new UserError(
      `${flag}: needs a feature for each of the network's ${sequence} tokens; ${repa} has ${features.tokens} (vit:WEIGHTS?size=… sets how many)`,
    );
}

/** A network narrower than the noise that it is to predict cannot pass it on (Zheng et al. 2025, §4). */
export function warnOfNarrowness(model: string, { head, width, channels, patch }: NetworkConfig, log: Log): void {
  const numbers = channels * patch ** 2;
  const narrowest = head?.width ?? width;
  if (narrowest < numbers)
    log.warn(
      `${model}: each of its tokens stands for ${numbers} numbers of the latents but is ${narrowest} wide, which limits what it can predict; ` +
        (head ? '--head-width makes the head wider' : '--head-depth 2 adds a wide head'),
    );
}
