import { convShapes, linearShapes, normShapes, prefixed, repeatedShapes, type Shapes } from '../../nn/index.js';
import { decoderShapes, type LdmArchitecture } from '../ldm/index.js';

/** The small vision transformer that adds what the frozen features lack; torchvision's class. */
export interface ResidualVit {
  width: number;
  depth: number;
  hidden: number;
  patchSize: number;
  /** Patches and a class token. */
  positions: number;
  /** Numbers per patch that it gives. */
  outputs: number;
}

export interface SvgConfig {
  residual: ResidualVit;
  decoder: LdmArchitecture;
}

/** Residual encoder and decoder. */
export const svgShapes = ({ residual, decoder }: SvgConfig): Shapes => ({
  ...prefixed(residualShapes(residual), 'extra_vit'),
  ...prefixed(decoderShapes(decoder), 'decoder'),
});

function residualShapes({ width, depth, hidden, patchSize, positions, outputs }: ResidualVit): Shapes {
  const layer: Shapes = {
    ...prefixed(normShapes(width), 'ln_1'),
    'self_attention.in_proj_weight': [3 * width, width],
    'self_attention.in_proj_bias': [3 * width],
    ...prefixed(linearShapes(width, width), 'self_attention.out_proj'),
    ...prefixed(normShapes(width), 'ln_2'),
    ...prefixed(linearShapes(width, hidden), 'mlp.0'),
    ...prefixed(linearShapes(hidden, width), 'mlp.3'),
  };
  const layers = repeatedShapes('layer', depth, layer);
  return {
    class_token: [1, 1, width],
    ...prefixed(convShapes(3, width, patchSize), 'conv_proj'),
    'encoder.pos_embedding': [1, positions, width],
    ...Object.fromEntries(
      Object.entries(layers).map(([key, shape]) => [key.replace('layer.', 'encoder.layers.encoder_layer_'), shape]),
    ),
    ...prefixed(normShapes(width), 'encoder.ln'),
    ...prefixed(linearShapes(width, width), 'heads.0'),
    ...prefixed(linearShapes(width, outputs), 'heads.2'),
  };
}
