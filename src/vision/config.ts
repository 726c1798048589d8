import { z } from 'zod';
import { isRecord, UserError } from '../base/index.js';
import {
  FAMILIES,
  FAMILY,
  type ActivationName,
  type FamilyName,
  type InputConfig,
  type PositionResize,
} from './families.js';
import type { SpellingName } from './spellings.js';

/** Everything that a frozen vision transformer's forward pass needs besides its weights. */
export interface VisionConfig {
  family: FamilyName;
  width: number;
  depth: number;
  heads: number;
  /** Width of the hidden layer of a block's MLP. */
  hidden: number;
  /** Whether the MLP has a gate: activation(gate) ∘ value. */
  gated: boolean;
  activation: ActivationName;
  eps: number;
  patchSize: number;
  classToken: boolean;
  registers: number;
  /** Rows of the table of positions; 0: positions are rotary. */
  positions: number;
  /** Whether the table has a row for the class token. */
  classPosition: boolean;
  positionResize: PositionResize;
  ropeTheta: number;
  /** Which of queries, keys and values have a bias. */
  biases: { q: boolean; k: boolean; v: boolean };
  layerScale: boolean;
  /** Whether the last norm has weights; that of RAE's encoder has none. */
  normAffine: boolean;
  /** SigLIP's head, which pools by attention. */
  attentionPool: boolean;
  /** Width of CLIP's image embedding, where its projection is there. */
  projection: number | undefined;
  input: InputConfig;
}

/** What is seen of the weights before they are read: shapes by this room's names of tensors. */
export type Shapes = ReadonlyMap<string, readonly number[]>;

const size = z.number().int().positive();
const sides = z.union([size, z.array(size).nonempty()]);
const three = z.array(z.number()).length(3);
const FIELDS = z.object({
  model_type: z.string().optional(),
  architecture: z.string().optional(),
  hidden_size: size.optional(),
  num_hidden_layers: size.optional(),
  num_attention_heads: size.optional(),
  num_channels: z.literal(3, { error: ({ input }) => `${String(input)} is not supported; only 3 is` }).optional(),
  head_dim: size.optional(),
  intermediate_size: size.optional(),
  mlp_ratio: z.number().positive().optional(),
  use_swiglu_ffn: z.boolean().optional(),
  use_gated_mlp: z.boolean().optional(),
  hidden_act: z.string().optional(),
  layer_norm_eps: z.number().positive().optional(),
  image_size: sides.optional(),
  patch_size: sides.optional(),
  num_register_tokens: z.number().int().nonnegative().optional(),
  rope_theta: z.number().positive().optional(),
  qkv_bias: z.boolean().optional(),
  query_bias: z.boolean().optional(),
  key_bias: z.boolean().optional(),
  value_bias: z.boolean().optional(),
  vision_use_head: z.boolean().optional(),
  projection_dim: size.optional(),
  pretrained_cfg: z.object({ mean: three.optional(), std: three.optional() }).optional(),
});
type Fields = z.output<typeof FIELDS>;

/** transformers' config.json, or that of the image half of a model of images and text. */
export function visionFields(name: string, raw: Record<string, unknown>): Fields {
  const inner = [raw.parameters, raw.vision_config].find(isRecord);
  const told = inner === undefined ? raw : { ...inner, projection_dim: raw.projection_dim ?? inner.projection_dim };
  const parsed = FIELDS.safeParse(Object.fromEntries(Object.entries(told).filter(([, value]) => value !== null)));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new UserError(`${name}: config field ${issue.path.join('.')}: ${issue.message}`);
}

/** How images are prepared, as preprocessor_config.json beside the weights says it. */
export function withPreprocessor(name: string, input: InputConfig, raw: Record<string, unknown>): InputConfig {
  const parsed = PREPROCESSOR.safeParse(Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== null)));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new UserError(`${name}: preprocessor_config.json: ${issue.path.join('.')}: ${issue.message}`);
  }
  const { image_mean: mean, image_std: std, resample, crop_size, do_center_crop, size: sized } = parsed.data;
  return {
    size: sideOf(do_center_crop ? crop_size : undefined) ?? sideOf(sized) ?? input.size,
    mean: mean ?? input.mean,
    std: std ?? input.std,
    resample: resample === undefined ? input.resample : RESAMPLE[resample],
  };
}

/** Numbers of Pillow's filters. */
const RESAMPLE = { 2: 'bilinear', 3: 'bicubic' } as const;

const extent = z.union([size, z.object({ height: size.optional(), shortest_edge: size.optional() })]);
const PREPROCESSOR = z.object({
  image_mean: three.optional(),
  image_std: three.optional(),
  resample: z
    .literal([2, 3], { error: ({ input }) => `${String(input)} is not supported; only 2 and 3 are` })
    .optional(),
  size: extent.optional(),
  crop_size: extent.optional(),
  do_center_crop: z.boolean().optional(),
});

const sideOf = (given: z.output<typeof extent> | undefined): number | undefined =>
  typeof given === 'object' ? (given.height ?? given.shortest_edge) : given;

/** The config of weights with these shapes: what `fields` say, then what the shapes do, then what was published. */
export function visionConfig(name: string, fields: Fields, shapes: Shapes, spelling: SpellingName): VisionConfig {
  const family = familyOf(name, fields, shapes);
  const published = FAMILY[family];
  const has = (key: string): boolean => shapes.has(key);
  const side = (key: string, axis: number): number => shapes.get(key)?.[axis] ?? 0;
  const width = fields.hidden_size ?? side('patch_embed.proj.weight', 0);
  const gated = fields.use_swiglu_ffn ?? fields.use_gated_mlp ?? isGated(shapes);
  const patchSize = square(name, 'patch_size', fields.patch_size) ?? side('patch_embed.proj.weight', 2);
  const registers = fields.num_register_tokens ?? shapes.get('register_tokens')?.at(-2) ?? 0;
  const positions = shapes.get('pos_embed')?.at(-2) ?? 0;
  return {
    family,
    width,
    depth: fields.num_hidden_layers ?? depthOf(shapes),
    heads: headsOf(name, fields, family, width),
    hidden: hiddenOf(fields, width, gated) ?? side('blocks.0.mlp.down.weight', 1),
    gated,
    activation: activationOf(name, fields, family, gated),
    eps: fields.layer_norm_eps ?? published.eps,
    patchSize,
    classToken: family !== 'siglip',
    registers,
    positions,
    classPosition: family !== 'siglip' && !Number.isInteger(Math.sqrt(positions)),
    positionResize: resizeOf(family, spelling, registers),
    ropeTheta: fields.rope_theta ?? 100,
    biases: biasesOf(fields, has),
    layerScale: family === 'dinov2' || family === 'dinov3',
    normAffine: true,
    attentionPool: fields.vision_use_head ?? has('pool.probe'),
    projection: projectionOf(family, shapes),
    input: inputOf(family, fields, positions, patchSize),
  };
}

/** The preprocessing that was published; networks of one size are given that size. */
function inputOf(
  family: FamilyName,
  { pretrained_cfg: timm }: Fields,
  positions: number,
  patchSize: number,
): InputConfig {
  const { input } = FAMILY[family];
  const size = family === 'dinov2' || family === 'dinov3' ? input.size : Math.trunc(Math.sqrt(positions)) * patchSize;
  return { ...input, size, mean: timm?.mean ?? input.mean, std: timm?.std ?? input.std };
}

function familyOf(name: string, { model_type: type }: Fields, shapes: Shapes): FamilyName {
  const told = FAMILIES.find(family => type !== undefined && FAMILY[family].modelTypes.includes(type));
  if (told !== undefined) return told;
  if (type !== undefined) {
    const known = FAMILIES.flatMap(family => FAMILY[family].modelTypes).join(', ');
    throw new UserError(`${name}: config field model_type: '${type}' is not supported; known are ${known}`);
  }
  if (shapes.has('norm_pre.weight')) return 'clip';
  if (!shapes.has('cls_token')) return 'siglip';
  if (!shapes.has('pos_embed')) return 'dinov3';
  return shapes.has('blocks.0.ls1.gamma') ? 'dinov2' : 'mae';
}

const depthOf = (shapes: Shapes): number =>
  1 + Math.max(-1, ...[...shapes.keys()].map(key => Number(/^blocks\.(\d+)\./.exec(key)?.[1] ?? -1)));

const isGated = (shapes: Shapes): boolean =>
  shapes.has('blocks.0.mlp.gate.weight') || shapes.has('blocks.0.mlp.both.weight');

/** DINOv2's config has a ratio, of which its SwiGLU takes two thirds, rounded up to a multiple of 8. */
function hiddenOf({ intermediate_size, mlp_ratio }: Fields, width: number, gated: boolean): number | undefined {
  if (intermediate_size !== undefined || mlp_ratio === undefined) return intermediate_size;
  const plain = Math.trunc(width * mlp_ratio);
  return gated ? 8 * Math.ceil(Math.trunc((plain * 2) / 3) / 8) : plain;
}

function headsOf(name: string, fields: Fields, family: FamilyName, width: number): number {
  const heads = fields.num_attention_heads ?? FAMILY[family].heads[width];
  if (heads === undefined)
    throw new UserError(
      `${name}: no published ${family} is ${width} wide, so how many heads it has is not known; give a config.json with num_attention_heads`,
    );
  if (width % heads !== 0 || (fields.head_dim !== undefined && fields.head_dim * heads !== width))
    throw new UserError(`${name}: config field num_attention_heads: ${heads} heads do not make up a width of ${width}`);
  return heads;
}

const SAME_ACTIVATION: Partial<Record<string, ActivationName>> = {
  gelu: 'gelu',
  gelu_python: 'gelu',
  gelu_pytorch_tanh: 'gelu_pytorch_tanh',
  gelu_new: 'gelu_pytorch_tanh',
  quick_gelu: 'quick_gelu',
  silu: 'silu',
  swish: 'silu',
};

/** Architectures of timm whose GELU is the approximate one; its other SigLIPs run the exact one. */
const TIMM_TANH = /_patch32_siglip|_large_patch16_siglip(_gap)?_512|_so400m_patch16_siglip|_giantopt_/;

/** What a config leaves out because it is the default, of transformers' or of timm's architecture. */
function defaultActivation(family: FamilyName, { model_type, architecture }: Fields): ActivationName | undefined {
  if (family === 'clip' && model_type !== undefined) return 'quick_gelu';
  if (architecture === undefined) return FAMILY[family].activation;
  if (family === 'clip') return architecture.includes('quickgelu') ? 'quick_gelu' : 'gelu';
  return family === 'siglip' && TIMM_TANH.test(architecture) ? 'gelu_pytorch_tanh' : 'gelu';
}

function activationOf(name: string, fields: Fields, family: FamilyName, gated: boolean): ActivationName {
  const { hidden_act } = fields;
  // DINOv2's gate has a SiLU of its own whatever its config says.
  if (gated && (family === 'dinov2' || hidden_act === undefined)) return 'silu';
  const activation = hidden_act === undefined ? defaultActivation(family, fields) : SAME_ACTIVATION[hidden_act];
  if (activation !== undefined) return activation;
  const known = Object.keys(SAME_ACTIVATION).join(', ');
  throw new UserError(
    hidden_act === undefined
      ? `${name}: the activation cannot be told from CLIP's weights; give a config.json with "hidden_act": "quick_gelu" (OpenAI's) or "gelu" (most others)`
      : `${name}: config field hidden_act: '${hidden_act}' is not supported; known are ${known}`,
  );
}

function square(name: string, field: string, value: Fields['patch_size']): number | undefined {
  if (!Array.isArray(value)) return value;
  if (new Set(value).size > 1)
    throw new UserError(`${name}: config field ${field}: [${value.join(', ')}] is not square, which is not supported`);
  return value[0];
}

function resizeOf(family: FamilyName, spelling: SpellingName, registers: number): PositionResize {
  if (spelling === 'timm') return 'bicubic, antialiased';
  if (family === 'dinov2' && registers > 0) return 'bicubic, antialiased';
  return FAMILY[family].resize[spelling === 'authors' ? 'authors' : 'transformers'];
}

function biasesOf(fields: Fields, has: (key: string) => boolean): VisionConfig['biases'] {
  const fused = has('blocks.0.attn.qkv.bias');
  const found = (part: string): boolean => fused || has(`blocks.0.attn.${part}.bias`);
  return {
    q: fields.query_bias ?? fields.qkv_bias ?? found('q'),
    // DINOv3's own code keeps a bias for keys and a mask that takes it away.
    k: fields.key_bias ?? fields.qkv_bias ?? (found('k') && !has('blocks.0.attn.qkv.bias_mask')),
    v: fields.value_bias ?? fields.qkv_bias ?? found('v'),
  };
}

function projectionOf(family: FamilyName, shapes: Shapes): number | undefined {
  if (family !== 'clip') return undefined;
  return shapes.get('projection.weight')?.[0] ?? shapes.get('projection.transposed')?.[1];
}
