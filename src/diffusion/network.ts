import { tf, type Tensor, type Tensor3D } from '../engine/index.js';
import { children, linear, silu, under, type Params, type Rotation } from '../nn/index.js';
import { block, finalLayer, type Conditioning } from './blocks.js';
import { headConfig, type NetworkConfig } from './config.js';
import { labelEmbedding, timeEmbedding, tokenEmbedding, tokensToLatents } from './embeddings.js';
import { project } from './projectors.js';
import { EARLY_LAYER } from './shapes.js';

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
  /** The intermediates selected by `keep`, from `embed`, `t_embed`, `y_embed`, `blocks.<i>` [n, sequence, width], a head's blocks after the others, `projectors.<k>`, `early` as `prediction`. */
  activations: Record<string, Tensor>;
}

/**
 * The diffusion transformer. Pure and differentiable in `params` and `x`; the caller owns what it returns.
 * `keep` selects intermediates to return as well.
 */
export function forward(
  config: NetworkConfig,
  params: Params,
  input: NetworkInput,
  keep: (name: string) => boolean = () => false,
): NetworkOutput {
  return tf.tidy(() => {
    const activations: Record<string, Tensor> = {};
    const named: Named = (name, make) => {
      if (keep(name)) activations[name] = make();
    };
    const { tokens, time, conditioning } = encoded(config, params, input, named);
    const outputs = config.head
      ? headOutputs(config, params, input.x, silu(time.add(tokens)), named)
      : finalLayer(config, under(params, 'final_layer'), tokens, conditioning);
    return { prediction: tokensToLatents(config, outputs), activations };
  });
}

/** The tokens after so many blocks (0: before the first), [n, sequence, width]; the caller owns them. */
export function hiddenStates(config: NetworkConfig, params: Params, input: NetworkInput, after: number): Tensor3D {
  if (after <= config.depth)
    return tf.tidy(() => encoded({ ...config, depth: after }, params, input, () => undefined).tokens as Tensor3D);
  const name = `blocks.${after - 1}`;
  const { prediction, activations } = forward(config, params, input, wanted => wanted === name);
  prediction.dispose();
  return activations[name] as Tensor3D;
}

/** Takes note of an intermediate, which is made only where it is asked for. */
type Named = (name: string, make: () => Tensor) => void;

/** The blocks before the last layer, or before the head: their tokens, and the time's embedding [n, 1, width]. */
function encoded(
  config: NetworkConfig,
  params: Params,
  { x, t, labels, beta }: NetworkInput,
  named: Named,
): { tokens: Tensor; time: Tensor; conditioning: Conditioning } {
  const time = timeEmbedding(config, params, t, beta);
  const label = labelEmbedding(under(params, 'y_embedder.embedding_table'), labels);
  named('t_embed', () => time);
  named('y_embed', () => label);
  // Every modulation starts with the SiLU of the same condition. RAE's encoder in front of a head takes it twice.
  const once = forAllTokens(silu(time.add(label)));
  const conditioning = {
    condition: config.head ? silu(once) : once,
    rotation: storedRotation(params, config.head ? 'enc_feat_rope' : 'feat_rope'),
  };
  const embedder = under(params, config.head ? 's_embedder' : 'x_embedder');
  let tokens = tokenEmbedding(config, embedder, x).add(params.pos_embed);
  named('embed', () => tokens);
  children(params, 'blocks')
    .slice(0, config.depth)
    .forEach((blockParams, i) => {
      tokens = block(config, blockParams, tokens, conditioning);
      named(`blocks.${i}`, () => tokens);
      if (i + 1 === config.early?.after)
        named('early', () => earlyPrediction(config, params, silu(forAllTokens(time).add(tokens))));
      if (i + 1 === config.projectors?.after)
        config.projectors.features.forEach((_, k) => {
          const name = `projectors.${k}`;
          named(name, () => project(config, under(params, name), tokens));
        });
    });
  return { tokens, time: forAllTokens(time), conditioning };
}

/** [n, width] → [n, 1, width]. */
const forAllTokens = (x: Tensor): Tensor => x.reshape([x.shape[0], 1, -1]);

/** What the tokens after an early block predict; `guide` [n, sequence, width], which also modulates itself, as in a head. */
export function earlyPrediction(config: NetworkConfig, params: Params, guide: Tensor): Tensor3D {
  return tokensToLatents(config, finalLayer(config, under(params, EARLY_LAYER), guide, { condition: silu(guide) }));
}

/** DDT's head on the noisy latents x; `guide` [n, sequence, width] are the tokens that tell each of its own what to do. */
function headOutputs(config: NetworkConfig, params: Params, x: Tensor, guide: Tensor, named: Named): Tensor {
  const own = headConfig(config);
  const projector = under(params, 's_projector');
  const condition = silu(own.width === config.width ? guide : linear(projector, guide));
  const conditioning = { condition, rotation: storedRotation(params, 'dec_feat_rope') };
  let tokens = tokenEmbedding(own, under(params, 'x_embedder'), x);
  children(params, 'blocks')
    .slice(config.depth)
    .forEach((blockParams, i) => {
      tokens = block(own, blockParams, tokens, conditioning);
      named(`blocks.${config.depth + i}`, () => tokens);
    });
  return finalLayer(own, under(params, 'final_layer'), tokens, conditioning);
}

/** Cosines and sines as stored, [1, sequence, d]. */
function storedRotation(params: Params, at: string): Rotation | undefined {
  const { freqs_cos: cos, freqs_sin: sin } = under<Tensor | undefined>(params, at);
  return cos && sin && { cos: cos.expandDims(0), sin: sin.expandDims(0) };
}

/** The part of a prediction that is used: the first half of the channels with `learnSigma`, else all. */
export function usedChannels({ learnSigma, channels }: NetworkConfig, prediction: Tensor): Tensor3D {
  const [n, tokens] = prediction.shape as [number, number, number];
  return (learnSigma ? tf.slice(prediction, [0, 0, 0], [n, tokens, channels]) : prediction) as Tensor3D;
}
