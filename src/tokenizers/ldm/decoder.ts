import { UserError } from '../../base/index.js';
import type { LdmArchitecture } from './shapes.js';

/** Large enough to be halved at every level. */
const NOMINAL = 2 ** 16;

/** Group normalisation as latent diffusion has it. */
export const LDM_NORM = { groups: 32, eps: 1e-6 };

/** A decoder alone, as it stands behind other encoders. Levels are counted pixels first. */
export function decoderArchitecture(
  widths: { ch: number; chMult: number[] },
  zChannels: number,
  { numResBlocks = 2, attends = [] as number[] } = {},
): LdmArchitecture {
  return {
    ...widths,
    numResBlocks,
    attnResolutions: attends.map(level => NOMINAL / 2 ** level),
    resolution: NOMINAL,
    zChannels,
    embedDim: zChannels,
    moments: 1,
    quantConv: false,
    postQuantConv: false,
  };
}

/** The decoder that keys without a prefix (`up.0.block.0.conv1.weight`, …) and their shapes show. */
export function shownDecoder(
  name: string,
  weights: Record<string, { shape: number[] }>,
  zChannels: number,
): LdmArchitecture {
  const has = (key: string): boolean => Object.hasOwn(weights, key);
  const count = (key: (i: number) => string): number => {
    let n = 0;
    while (has(key(n))) n++;
    return n;
  };
  const levels = count(level => `up.${level}.block.0.conv1.weight`);
  if (levels === 0)
    throw new UserError(`${name}: its decoder has no tensor up.0.block.0.conv1.weight; is the file complete?`);
  const widths = Array.from({ length: levels }, (_, level) => weights[`up.${level}.block.0.conv1.weight`].shape[0]);
  return decoderArchitecture({ ch: widths[0], chMult: widths.map(width => width / widths[0]) }, zChannels, {
    numResBlocks: count(block => `up.0.block.${block}.conv1.weight`) - 1,
    attends: widths.flatMap((_, level) => (has(`up.${level}.attn.0.norm.weight`) ? [level] : [])),
  });
}
