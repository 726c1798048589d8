import { tf, type Tensor } from '../engine/index.js';
import {
  attention,
  gatedResidual,
  geluTanh,
  layerNorm,
  linear,
  mlp,
  modulatedNorm,
  rmsNorm,
  swiGlu,
  under,
  type Params,
  type Rotation,
} from '../nn/index.js';
import type { NetworkConfig } from './config.js';

/** What a block, or the last layer, does to its tokens, besides their numbers. */
export interface Conditioning {
  /** What modulates the tokens, its SiLU taken: [n, 1, width] for all of a row, or [n, sequence, width] for each. */
  condition: Tensor;
  /** Of queries and keys, where they are rotated. */
  rotation?: Rotation | undefined;
}

/** A transformer block with adaLN-Zero (Peebles & Xie 2023), in the variant that `config` names. x [n, sequence, width]. */
export function block(config: NetworkConfig, params: Params, x: Tensor, { condition, rotation }: Conditioning): Tensor {
  return tf.tidy(() => {
    const { heads, norm, qkNorm } = config;
    const [first, second] = blockModulation(config, under(params, 'adaLN_modulation.1'), condition);
    const attended = attention(under(params, 'attn'), modulate(config, under(params, 'norm1'), x, first), {
      heads,
      rotation,
      qkNorm: qkNorm ? { kind: norm, eps: norm === 'rms' ? 1e-6 : 1e-5 } : undefined,
    });
    const y = gatedResidual(x, attended, first.gate);
    const inner = modulate(config, under(params, 'norm2'), y, second);
    const mixed =
      config.mlp === 'swiglu' ? swiGlu(under(params, 'mlp'), inner) : mlp(under(params, 'mlp'), inner, geluTanh);
    return gatedResidual(y, mixed, second.gate);
  });
}

/** The last layer: modulated tokens → numbers of the latents, [n, sequence, patch² · channels]. */
export function finalLayer(config: NetworkConfig, params: Params, x: Tensor, { condition }: Conditioning): Tensor {
  return tf.tidy(() => {
    const [shift, scale] = modulationParts(under(params, 'adaLN_modulation.1'), condition, 2);
    return linear(under(params, 'linear'), modulate(config, under(params, 'norm_final'), x, { shift, scale }));
  });
}

/** What the condition does to normalised tokens; each part [n, 1 or sequence, width]. */
interface Modulation {
  shift?: Tensor | undefined;
  scale: Tensor;
}

/** Two times (shift, scale, gate), or (scale, gate) without shifts. */
function blockModulation(
  { shift: shifts }: NetworkConfig,
  params: Params,
  condition: Tensor,
): (Modulation & { gate: Tensor })[] {
  const parts = modulationParts(params, condition, shifts ? 6 : 4);
  return [0, 1].map(half => {
    const [shift, scale, gate] = shifts
      ? parts.slice(3 * half, 3 * half + 3)
      : [undefined, ...parts.slice(2 * half, 2 * half + 2)];
    return { shift, scale: scale!, gate: gate! };
  });
}

function modulationParts(params: Params, condition: Tensor, parts: number): Tensor[] {
  const [n, t, width] = condition.shape as [number, number, number];
  return tf.unstack(linear(params, condition).reshape([n, t, parts, width]), 2);
}

function modulate(config: NetworkConfig, params: Params, x: Tensor, { shift, scale }: Modulation): Tensor {
  if (config.norm === 'layer' && shift && !('weight' in params)) return modulatedNorm(x, scale, shift);
  const normal = config.norm === 'rms' ? rmsNorm(params, x) : layerNorm(params, x);
  const scaled = normal.mul(scale.add(1));
  return shift ? scaled.add(shift) : scaled;
}
