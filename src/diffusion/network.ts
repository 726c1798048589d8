import { tf, type Tensor, type Tensor3D } from '../engine/index.js';
import {
  attention,
  children,
  gatedResidual,
  geluTanh,
  layerNorm,
  linear,
  mlp,
  modulatedNorm,
  rmsNorm,
  silu,
  swiGlu,
  under,
  type Params,
  type Rotation,
} from '../nn/index.js';
import type { NetworkConfig } from './config.js';
import { labelEmbedding, timeEmbedding, tokenEmbedding, tokensToLatents } from './embeddings.js';

export interface NetworkInput {
  /** Noisy latents [n, tokens, channels]. */
  x: Tensor;
  /** One time per row, as the network counts it. */
  t: ArrayLike<number>;
  /** One class per row; `config.classes` is the null class. */
  labels: ArrayLike<number>;
  /** One reciprocal guidance scale per row, for networks made for it. */
  beta?: ArrayLike<number> | undefined;
}

export interface NetworkOutput {
  /** [n, tokens, channels], twice the channels with `learnSigma`. */
  prediction: Tensor3D;
  /** The intermediates selected by `keep`, from `embed`, `t_embed`, `y_embed`, `blocks.<i>` [n, sequence, width], `projectors.<k>`. */
  activations: Record<string, Tensor>;
}

/**
 * The diffusion transformer. Pure and differentiable in `params` and `x`; the caller owns what it returns.
 * `keep` selects intermediates to return as well.
 */
export function forward(
  config: NetworkConfig,
  params: Params,
  { x, t, labels, beta }: NetworkInput,
  keep: (name: string) => boolean = () => false,
): NetworkOutput {
  return tf.tidy(() => {
    const activations: Record<string, Tensor> = {};
    const named = (name: string, value: Tensor): Tensor => {
      if (keep(name)) activations[name] = value;
      return value;
    };
    const time = named('t_embed', timeEmbedding(config, params, t, beta));
    const label = named('y_embed', labelEmbedding(under(params, 'y_embedder.embedding_table'), labels));
    // Every modulation starts with the SiLU of the same condition.
    const condition = silu(time.add(label));
    const rotation = storedRotation(params);

    let tokens = named('embed', tokenEmbedding(config, params, x));
    children(params, 'blocks').forEach((blockParams, i) => {
      tokens = named(`blocks.${i}`, block(config, blockParams, tokens, condition, rotation));
      if (i + 1 === config.projectors?.after) {
        config.projectors.features.forEach((_, k) => {
          const name = `projectors.${k}`;
          if (keep(name)) activations[name] = project(under(params, name), tokens);
        });
      }
    });
    const prediction = tokensToLatents(config, finalLayer(config, under(params, 'final_layer'), tokens, condition));
    return { prediction, activations };
  });
}

function block(
  config: NetworkConfig,
  params: Params,
  x: Tensor,
  condition: Tensor,
  rotation: Rotation | undefined,
): Tensor {
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

/** What the condition does to normalised tokens; each part [n, 1, width]. */
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
  const [n, width] = condition.shape as [number, number];
  return tf.unstack(linear(params, condition).reshape([n, parts, 1, width]), 1);
}

function modulate(config: NetworkConfig, params: Params, x: Tensor, { shift, scale }: Modulation): Tensor {
  if (config.norm === 'layer' && shift && !('weight' in params)) return modulatedNorm(x, scale, shift);
  const normal = config.norm === 'rms' ? rmsNorm(params, x) : layerNorm(params, x);
  const scaled = normal.mul(scale.add(1));
  return shift ? scaled.add(shift) : scaled;
}

function finalLayer(config: NetworkConfig, params: Params, x: Tensor, condition: Tensor): Tensor {
  return tf.tidy(() => {
    const [shift, scale] = modulationParts(under(params, 'adaLN_modulation.1'), condition, 2);
    return linear(under(params, 'linear'), modulate(config, under(params, 'norm_final'), x, { shift, scale }));
  });
}

/** Cosines and sines as stored, [1, sequence, d]. */
function storedRotation({
  'feat_rope.freqs_cos': cos,
  'feat_rope.freqs_sin': sin,
}: Record<string, Tensor | undefined>): Rotation | undefined {
  return cos && sin && { cos: cos.expandDims(0), sin: sin.expandDims(0) };
}

/** One of REPA's projectors on the tokens of the block that it is attached to: linear, SiLU, linear, SiLU, linear. */
function project(params: Params, tokens: Tensor): Tensor {
  return tf.tidy(() => {
    const hidden = silu(linear(under(params, '2'), silu(linear(under(params, '0'), tokens))));
    return linear(under(params, '4'), hidden);
  });
}

/** The part of a prediction that is used: the first half of the channels with `learnSigma`, else all. */
export function usedChannels({ learnSigma, channels }: NetworkConfig, prediction: Tensor): Tensor3D {
  const [n, tokens] = prediction.shape as [number, number, number];
  return (learnSigma ? tf.slice(prediction, [0, 0, 0], [n, tokens, channels]) : prediction) as Tensor3D;
}
