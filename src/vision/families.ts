/** The kinds of networks that this room runs. */
export const FAMILIES = ['dinov2', 'dinov3', 'siglip', 'mae', 'clip'] as const;
export type FamilyName = (typeof FAMILIES)[number];

export const ACTIVATIONS = ['gelu', 'gelu_pytorch_tanh', 'quick_gelu', 'silu'] as const;
export type ActivationName = (typeof ACTIVATIONS)[number];

/**
 * Ways in which a table of positions is brought to another grid. `offset`: DINOv2's own code adds 0.1 to the sides of the
 * grid before it divides them by the table's, and samples at that scale.
 */
export type PositionResize = 'bicubic' | 'bicubic, antialiased' | 'bicubic, offset';

/** How images are prepared: pixels in [0, 1], resized, (x − mean) / std per channel. */
export interface InputConfig {
  size: number;
  mean: readonly number[];
  std: readonly number[];
  resample: 'bilinear' | 'bicubic';
}

/** ImageNet's channel means and standard deviations, of pixels in [0, 1]. */
export const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/** What a family's publications fix where no config says otherwise. */
export interface Family {
  /** `model_type` in transformers' configs. */
  modelTypes: string[];
  eps: number;
  activation: ActivationName | undefined;
  input: InputConfig;
  /** Attention heads by width, of the published models. */
  heads: Partial<Record<number, number>>;
  /** How the authors' own code, and transformers, resize the table of positions; timm has one way for all. */
  resize: { authors: PositionResize; transformers: PositionResize };
}

/** Facts of the published models: their papers, configs and preprocessors. */
export const FAMILY: Record<FamilyName, Family> = {
  dinov2: {
    modelTypes: ['dinov2', 'dinov2_with_registers'],
    eps: 1e-6,
    activation: 'gelu',
    input: { size: 224, ...IMAGENET, resample: 'bicubic' },
    heads: { 384: 6, 768: 12, 1024: 16, 1536: 24 },
    resize: { authors: 'bicubic, offset', transformers: 'bicubic' },
  },
  dinov3: {
    modelTypes: ['dinov3_vit'],
    eps: 1e-5,
    activation: 'gelu',
    input: { size: 224, ...IMAGENET, resample: 'bilinear' },
    heads: { 384: 6, 768: 12, 1024: 16, 1280: 20, 4096: 32 },
    resize: { authors: 'bicubic', transformers: 'bicubic' },
  },
  siglip: {
    modelTypes: ['siglip_vision_model', 'siglip'],
    eps: 1e-6,
    activation: 'gelu_pytorch_tanh',
    input: { size: 224, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5], resample: 'bicubic' },
    heads: { 768: 12, 1024: 16, 1152: 16, 1536: 16 },
    resize: { authors: 'bicubic', transformers: 'bicubic' },
  },
  mae: {
    modelTypes: ['vit_mae'],
    eps: 1e-6,
    activation: 'gelu',
    input: { size: 224, ...IMAGENET, resample: 'bicubic' },
    heads: { 768: 12, 1024: 16, 1280: 16 },
    resize: { authors: 'bicubic', transformers: 'bicubic' },
  },
  clip: {
    modelTypes: ['clip_vision_model', 'clip'],
    eps: 1e-5,
    // OpenAI's networks and others' differ, and their weights do not tell.
    activation: undefined,
    input: {
      size: 224,
      mean: [0.48145466, 0.4578275, 0.40821073],
      std: [0.26862954, 0.26130258, 0.27577711],
      resample: 'bicubic',
    },
    heads: { 768: 12, 1024: 16, 1280: 16, 1408: 16, 1664: 16 },
    resize: { authors: 'bicubic, antialiased', transformers: 'bicubic' },
  },
};
