/** Parameter name → shape, in PyTorch's layout. */
export type Shapes = Record<string, number[]>;

/** A model of a known size, for `maetok models` and for checks of weights before anything is allocated. */
export interface ModelPreset {
  name: string;
  kind: 'tokenizer' | 'diffusion';
  describe: string;
  /** Of its published weights, as their publisher states it, or `unknown`; absent where no weights are published. */
  licence?: string | undefined;
  /** Side of the square images. */
  imageSize: number;
  /** Latent tokens of one image, and numbers per token. */
  tokens: number;
  channels: number;
  /** Every key of the state dict with its shape. */
  shapes: () => Shapes;
  /** Keys of the state dict that are stored but are not parameters (tables, running statistics); default none. */
  isBuffer?: (key: string) => boolean;
}

/** Parameters of a preset as its authors count them: without buffers. */
export function countParameters({ shapes, isBuffer }: Pick<ModelPreset, 'shapes' | 'isBuffer'>): number {
  return Object.entries(shapes())
    .filter(([key]) => !isBuffer?.(key))
    .reduce((sum, [, shape]) => sum + shape.reduce((product, side) => product * side, 1), 0);
}
