import { tf, type Tensor } from '../../engine/index.js';
import {
  attention,
  lastModulatedNorm,
  layerNorm,
  linear,
  mlp,
  residual,
  gatedResidual,
  under,
  type Params,
  type Rotation,
} from '../../nn/index.js';

export interface BlockOptions {
  heads: number;
  rotation: Rotation | undefined;
}

/** A pre-norm transformer block with LayerScale. x [n, t, c] → [n, t, c]. */
export function plainBlock(params: Params, x: Tensor, options: BlockOptions): Tensor {
  const attended = attention(under(params, 'attn'), layerNorm(under(params, 'norm1'), x), options);
  const middle = gatedResidual(x, attended, params['ls1.gamma']);
  return gatedResidual(
    middle,
    mlp(under(params, 'mlp'), layerNorm(under(params, 'norm2'), middle)),
    params['ls2.gamma'],
  );
}

/**
 * A block whose norms have no weights of their own: at the last l tokens, the latent ones, the latents themselves
 * scale and shift the normalised values. x [n, t, c], condition [n, l, channels] = silu(latents) → [n, t, c].
 */
export function modulatedBlock(params: Params, x: Tensor, condition: Tensor, options: BlockOptions): Tensor {
  const modulation = linear(under(params, 'adaLN_modulation.1'), condition);
  const [shiftAttention, scaleAttention, shiftMlp, scaleMlp] = tf.split(modulation, 4, -1);
  const first = lastModulatedNorm(x, scaleAttention, shiftAttention);
  const middle = residual(x, attention(under(params, 'attn'), first, options));
  return residual(middle, mlp(under(params, 'mlp'), lastModulatedNorm(middle, scaleMlp, shiftMlp)));
}
