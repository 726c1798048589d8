/*
 * One convolutional autoencoder, four spellings of its keys. The latent-diffusion spelling (VA-VAE's files) is ours;
 * the others are converted to it once, on load.
 */

/** Loss networks and teachers that published training checkpoints carry along. */
const IGNORED = /^(loss|foundation_model|linear_proj|repa_model|projection)\./;

/** FLUX.2's authors keep the convolutions around the latents within the networks. */
const WITHIN_NETWORKS = /^(?:encoder\.(quant_conv)|decoder\.(post_quant_conv))\./;

/** Where a whole text-to-image checkpoint keeps its autoencoder. */
const WITHIN_PIPELINE = 'first_stage_model.';

export type Spelling = 'latent-diffusion' | 'diffusers' | 'maetok';

/** Whose names a state dict of this network uses, or undefined where it is another network's. */
export function spellingOf(keys: string[]): Spelling | undefined {
  const has = (pattern: RegExp): boolean => keys.some(key => pattern.test(key));
  if (has(/^encoder\.down\.\d+\.block\.\d+\.conv1\.weight$/)) return 'latent-diffusion';
  if (has(/^encoder\.down_blocks\.\d+\.resnets\.\d+\.conv1\.weight$/)) return 'diffusers';
  if (has(/^encoder\.conv_blocks\.\d+\.res\.\d+\.conv1\.weight$/)) return 'maetok';
  return undefined;
}

/** A state dict of any spelling under latent-diffusion names; numbers are shared, only shapes are rewritten. */
export function toLatentDiffusionKeys<T extends { shape: number[] }>(weights: Record<string, T>): Record<string, T> {
  const own = withoutPipeline(weights);
  const names = Object.keys(own);
  const levels = countLevels(names);
  return Object.fromEntries(
    names
      .filter(name => !IGNORED.test(name))
      .map(name => {
        const renamed = rename(name, levels);
        const array = own[name];
        // diffusers keeps attention's projections as linear layers [out, in]; here they are 1×1 convolutions.
        const isLinear = /attn.*\.weight$/.test(renamed) && array.shape.length === 2;
        return [renamed, isLinear ? { ...array, shape: [...array.shape, 1, 1] } : array];
      }),
  );
}

/** The autoencoder's own part of a checkpoint. */
export function withoutPipeline<T>(weights: Record<string, T>): Record<string, T> {
  const inside = Object.keys(weights).filter(name => name.startsWith(WITHIN_PIPELINE));
  if (inside.length === 0) return weights;
  return Object.fromEntries(inside.map(name => [name.slice(WITHIN_PIPELINE.length), weights[name]]));
}

/** Levels of the decoder: other spellings count them from the latents up, latent diffusion from the pixels down. */
function countLevels(names: string[]): number {
  const numbers = names
    .map(name => /^decoder\.(?:up_blocks|conv_blocks)\.(\d+)\./.exec(name)?.[1])
    .filter(level => level !== undefined);
  return 1 + Math.max(-1, ...numbers.map(Number));
}

const ATTENTION: Record<string, string> = {
  group_norm: 'norm',
  to_q: 'q',
  to_k: 'k',
  to_v: 'v',
  'to_out.0': 'proj_out',
  query: 'q',
  key: 'k',
  value: 'v',
  proj_attn: 'proj_out',
};

function rename(name: string, levels: number): string {
  const up = (level: string): string => `decoder.up.${levels - 1 - Number(level)}.`;
  return (
    name
      // diffusers
      .replace(/^encoder\.down_blocks\.(\d+)\./, 'encoder.down.$1.')
      .replace(/^decoder\.up_blocks\.(\d+)\./, (_, level: string) => up(level))
      .replace(/\.resnets\.(\d+)\./, '.block.$1.')
      .replace(/\.(down|up)samplers\.0\.conv\./, '.$1sample.conv.')
      .replace('.mid_block.block.0.', '.mid.block_1.')
      .replace('.mid_block.block.1.', '.mid.block_2.')
      .replace('.mid_block.attentions.0.', '.mid.attn_1.')
      .replace(/\.attentions\.(\d+)\./, '.attn.$1.')
      .replace('.conv_shortcut.', '.nin_shortcut.')
      .replace('.conv_norm_out.', '.norm_out.')
      .replace(
        /(\.attn(?:_1|\.\d+)\.)(group_norm|to_[qkv]|to_out\.0|query|key|value|proj_attn)\./,
        (_, at: string, part: string) => `${at}${ATTENTION[part]}.`,
      )
      // FLUX.2
      .replace(WITHIN_NETWORKS, (_, quant?: string, postQuant?: string) => `${quant ?? postQuant}.`)
      // MAETok's own convolutional encoder and decoder
      .replace(/^encoder\.conv_blocks\.(\d+)\./, 'encoder.down.$1.')
      .replace(/^decoder\.conv_blocks\.(\d+)\./, (_, level: string) => up(level))
      .replace(/\.res\.(\d+)\./, '.block.$1.')
      .replace('.mid.0.', '.mid.block_1.')
      .replace('.mid.1.', '.mid.attn_1.')
      .replace('.mid.2.', '.mid.block_2.')
  );
}
