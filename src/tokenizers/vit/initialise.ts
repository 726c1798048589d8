import { tf, type RandomStream, type Tensor } from '../../engine/index.js';
import { initialMixedFrequencies, truncatedNormal, uniform, type Params } from '../../nn/index.js';
import { decoders, type Stack, type VitConfig } from './config.js';
import { vitShapes } from './shapes.js';

/** How wide parameters begin. */
export interface InitialScales {
  /** LayerScale's first value. */
  layerScale: number;
  /** Standard deviation of weights. */
  weights: number;
  /** Standard deviation of learned tokens and positions. */
  tokens: number;
}

/** The authors' (and DINOv2's): deep residual branches begin as almost nothing, and open over many thousand steps. */
const DEEP: InitialScales = { layerScale: 1e-5, weights: 0.02, tokens: 0.02 };

/**
 * A few narrow blocks that train for hundreds of steps: branches at full strength, weights that keep the scale of what
 * passes through (0.02 halves it at ViT-B's width), tokens that attention can tell apart from the first step on.
 */
const SHALLOW: InitialScales = { layerScale: 1, weights: 0.1, tokens: 0.5 };

/**
 * Parameters before training, as the authors' backbones have them: weights of blocks, tokens and positions from a
 * truncated normal of 0.02, LayerScale 1e-5 (both wider below 12 blocks), biases 0, norms 1 and 0, modulation all 0, the
 * layers around the latents and the patch embedding uniform in ±1/√(inputs). Every tensor draws from a stream of its
 * own name.
 */
export function initialParams(config: VitConfig, random: RandomStream, given: Partial<InitialScales> = {}): Params {
  const shapes = vitShapes(config);
  const start = { ...(config.encoder.depth < 12 ? SHALLOW : DEEP), ...given };
  return Object.fromEntries(
    Object.keys(shapes).map(key => [
      key,
      key.endsWith('.freqs')
        ? frequencies(config, stackOf(config, key), random.for(key))
        : initial(key, shapes, start, random.for(key)),
    ]),
  );
}

function initial(key: string, shapes: Record<string, number[]>, start: InitialScales, random: RandomStream): Tensor {
  const shape = shapes[key];
  if (/\.ls[12]\.gamma$/.test(key)) return tf.fill(shape, start.layerScale);
  if (key.includes('.adaLN_modulation.')) return tf.zeros(shape);
  if (/\.norm\d?\.weight$/.test(key)) return tf.ones(shape);
  if (/^(post_)?quant_conv|\.patch_embed\./.test(key)) {
    const [, ...inputs] = shapes[key.replace(/bias$/, 'weight')];
    return uniform(random, shape, inputs.reduce((a, b) => a * b, 1) ** -0.5);
  }
  if (key.endsWith('.bias')) return tf.zeros(shape);
  const tokens = /_tokens?$|pos_embed$/.test(key);
  return truncatedNormal(random, shape, tokens ? start.tokens : start.weights);
}

/** The encoder or decoder whose key this is. */
function stackOf(config: VitConfig, key: string): Stack {
  const [prefix] = key.split('.');
  return prefix === 'encoder' ? config.encoder : decoders(config).find(spec => spec.prefix === prefix)!;
}

function frequencies({ ropeTheta }: VitConfig, { width, depth, heads }: Stack, random: RandomStream): Tensor {
  return initialMixedFrequencies(depth, heads, width / heads, ropeTheta, random.uniforms(depth * heads));
}
