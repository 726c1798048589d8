import { tf, type Tensor } from '../../engine/index.js';
import {
  attention,
  differentiable,
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
  const first = modulateLast(layerNorm(undefined, x), shiftAttention, scaleAttention);
  const middle = residual(x, attention(under(params, 'attn'), first, options));
  return residual(middle, mlp(under(params, 'mlp'), modulateLast(layerNorm(undefined, middle), shiftMlp, scaleMlp)));
}

/**
 * x ∘ scale + shift at the last l of t tokens. There is no 1 + as in other adaLNs: the published decoder has none.
 * x [n, t, c]; shift, scale [n, l, c].
 */
export const modulateLast = differentiable(
  (x, shift, scale) => {
    const [before, last] = splitLast(x, scale.shape[1]!);
    const output = tf.concat([before, last.mul<Tensor>(scale).add(shift)], 1);
    return [output, last, scale];
  },
  (dy, last, scale) => {
    const [before, dLast] = splitLast(dy, scale.shape[1]!);
    return [tf.concat([before, dLast.mul<Tensor>(scale)], 1), dLast, dLast.mul(last)];
  },
);

/** x [n, t, c] → its first t − l and its last l tokens. */
export function splitLast(x: Tensor, l: number): [before: Tensor, last: Tensor] {
  return tf.split(x, [x.shape[1]! - l, l], 1) as [Tensor, Tensor];
}
