import { z } from 'zod';
import { PROJECTORS, type DiffusionModel, type LightningSize, type SitSize } from './names.js';

export const side = z.number().int().positive();

/**
 * Ways in which GFT's β enters beside the time: a projection of its sinusoid added to the time's, or a network of two or
 * three layers on its sinusoid, added to the time's embedding.
 */
export const BETA_INPUTS = ['linear', 'mlp', '3_layer_mlp'] as const;

/**
 * What the time's embedding is computed from: cosines and sines at geometric frequencies (Peebles & Xie 2023), or at
 * frequencies that were drawn once from a normal distribution and are stored with the weights (Zheng et al. 2025).
 */
const TIME_FEATURES = ['geometric', 'drawn'] as const;

/**
 * Architecture of a diffusion transformer over latent tokens: DiT (Peebles & Xie 2023), SiT (Ma et al. 2024) on grids
 * or on MAETok's lines of tokens, LightningDiT (Yao et al. 2025), with REPA's projectors, GFT's guidance input, DDT's
 * head (Wang et al. 2025) as RAE has it (Zheng et al. 2025), or RAEv2's early prediction.
 */
export const networkSchema = z.object({
  /** Latent tokens of one image and numbers per token. */
  tokens: side,
  channels: side,
  /** [rows, columns] of the latent tokens where they lie on a grid; absent: a line of tokens. */
  grid: z.tuple([side, side]).optional(),
  /** Side of the square of latent tokens that makes one token of the transformer; above 1 needs a grid. */
  patch: side,
  width: side,
  depth: side,
  heads: side,
  /**
   * DDT's head: `depth` further blocks of their own width, which see the noisy latents again. What modulates each of
   * their tokens is the token of the `blocks` in the same place.
   */
  head: z.object({ width: side, depth: side, heads: side }).optional(),
  /** Default: geometric. */
  timeFeatures: z.enum(TIME_FEATURES).optional(),
  mlpRatio: z.number().positive(),
  /** Number of classes; the label `classes` is the null class. */
  classes: side,
  /** The network gives 2 × channels numbers per token and the second half is left unused. */
  learnSigma: z.boolean(),
  norm: z.enum(['layer', 'rms']),
  mlp: z.enum(['gelu', 'swiglu']),
  /** Rotary positions in addition to the added ones. */
  rope: z.boolean(),
  /** Normalises each head's queries and keys. */
  qkNorm: z.boolean(),
  /** Whether the conditioning shifts the blocks' normalised tokens, besides scaling and gating them. */
  shift: z.boolean(),
  /**
   * REPA: networks on the tokens after `after` blocks that predict a frozen encoder's features, one per encoder: three
   * linear layers, the inner ones of `width` (the default kind), or, as in iREPA, a 3 × 3 convolution over their grid.
   */
  projectors: z
    .object({ after: side, kind: z.enum(PROJECTORS).optional(), width: side, features: z.array(side).min(1) })
    .optional(),
  /**
   * Internal guidance: a last layer of its own on the tokens after `after` blocks, whose worse prediction the whole
   * network's can be guided away from.
   */
  early: z.object({ after: side }).optional(),
  /** GFT: how the reciprocal guidance scale enters the network, where it does. Earlier runs say true for `linear`. */
  beta: z.preprocess(value => (value === true ? 'linear' : value), z.union([z.literal(false), z.enum(BETA_INPUTS)])),
});

export type NetworkConfig = z.output<typeof networkSchema>;

/** Width, depth and heads of a published size, or of ours for machines without a GPU. */
interface Size {
  width: number;
  depth: number;
  heads: number;
}

const SIT = {
  tiny: { width: 128, depth: 4, heads: 4 },
  s: { width: 384, depth: 12, heads: 6 },
  b: { width: 768, depth: 12, heads: 12 },
  l: { width: 1024, depth: 24, heads: 16 },
  xl: { width: 1152, depth: 28, heads: 16 },
} satisfies Record<SitSize, Size>;

const LIGHTNING = {
  ...SIT,
  '1p0b': { width: 1536, depth: 24, heads: 24 },
  '1p6b': { width: 1792, depth: 28, heads: 28 },
} satisfies Record<LightningSize, Size>;

type Fixed = Size & Pick<NetworkConfig, 'norm' | 'mlp' | 'rope'>;

/** `sit-b`, `lightningdit-xl`, … → what the name fixes of the architecture. */
export const MODELS: Record<string, Fixed> = {
  ...named('sit', SIT, { norm: 'layer', mlp: 'gelu', rope: false }),
  ...named('lightningdit', LIGHTNING, { norm: 'rms', mlp: 'swiglu', rope: true }),
} satisfies Record<DiffusionModel, Fixed>;

function named<Family extends string, Sizes extends string>(
  family: Family,
  sizes: Record<Sizes, Size>,
  switches: Omit<Fixed, keyof Size>,
): Record<`${Family}-${Sizes}`, Fixed> {
  const rows = Object.entries<Size>(sizes).map(([size, numbers]) => [`${family}-${size}`, { ...numbers, ...switches }]);
  return Object.fromEntries(rows) as Record<`${Family}-${Sizes}`, Fixed>;
}

/** The latents that a network is made for. */
export type LatentShape = Pick<NetworkConfig, 'tokens' | 'channels' | 'grid'>;

/** A model of `MODELS` on given latents; everything else as published. */
export function networkConfig(
  model: string,
  latents: LatentShape,
  options: Partial<NetworkConfig> & Pick<NetworkConfig, 'classes'>,
): NetworkConfig {
  return networkSchema.parse({
    patch: 1,
    mlpRatio: 4,
    learnSigma: false,
    qkNorm: false,
    shift: true,
    beta: false,
    ...MODELS[model],
    ...latents,
    ...options,
  });
}

/** Tokens inside the transformer. */
export const sequenceLength = ({ tokens, patch }: NetworkConfig): number => tokens / patch ** 2;

/** The config as it reads for the blocks of the head and for the last layer, which differ from the others in size alone. */
export const headConfig = (config: NetworkConfig): NetworkConfig => ({ ...config, ...config.head });

/** Hidden width of the SwiGLU layer: two thirds of the plain one's, rounded down. */
export const swiGluWidth = ({ width, mlpRatio }: Pick<NetworkConfig, 'width' | 'mlpRatio'>): number =>
  Math.floor((2 / 3) * mlpRatio * width);
