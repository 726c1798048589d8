import { convShapes, linearShapes, prefixed, type Shapes } from '../../nn/index.js';
import { decoderShapes, type LdmArchitecture } from '../ldm/index.js';

/** Sizes that the weights outside the encoder show. */
export interface DmVaeConfig {
  /** Width of the encoder's features and of the bottleneck's hidden layer. */
  features: number;
  hidden: number;
  channels: number;
  decoder: LdmArchitecture;
}

/** Bottleneck and decoder, whose first convolution comes after one that doubles the latents' sides. */
export function dmVaeShapes({ features, hidden, channels, decoder }: DmVaeConfig): Shapes {
  const { 'conv_in.weight': weight, 'conv_in.bias': bias, ...rest } = decoderShapes(decoder);
  return {
    ...prefixed(linearShapes(features, hidden), 'bottle_neck.mlp.0'),
    ...prefixed(linearShapes(hidden, channels), 'bottle_neck.mlp.2'),
    ...prefixed(convShapes(channels, channels, 3), 'decoder.conv_in.0.conv'),
    ...prefixed({ weight, bias }, 'decoder.conv_in.1'),
    ...prefixed(rest, 'decoder'),
  };
}

/** The normalisations around the encoder, ImageNet's. */
export const isBuffer = (key: string): boolean => /^encoder\.(de_)?scale\.(mean|std)$/.test(key);

export const bufferShapes = (): Shapes =>
  Object.fromEntries(
    ['de_scale', 'scale'].flatMap(part => ['mean', 'std'].map(name => [`encoder.${part}.${name}`, [1, 3, 1, 1]])),
  );
