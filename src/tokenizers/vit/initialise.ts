import { tf, type RandomStream, type Tensor } from '../../engine/index.js';
import { initialMixedFrequencies, truncatedNormal, uniform, type Params } from '../../nn/index.js';
import { decoders, type Stack, type VitConfig } from './config.js';
import { vitShapes } from './shapes.js';

export interface InitialOptions {
  /**
   * First value of LayerScale. DINOv2's backbones, which the authors take, have 1e-5: a branch begins as almost nothing.
   * Shallow networks that train for few steps begin faster at 0.1 (Touvron et al. 2021, up to 18 layers).
   */
  layerScale?: number;
}

/**
 * Parameters before training, as the authors' backbones have them: weights of blocks, tokens and positions from a
 * truncated normal of 0.02, biases 0, norms 1 and 0, modulation all 0, the layers around the latents and the patch
 * embedding uniform in ±1/√(inputs). Every tensor draws from a stream of its own name.
 */
export function initialParams(
  config: VitConfig,
  random: RandomStream,
  { layerScale = 1e-5 }: InitialOptions = {},
): Params {
  const shapes = vitShapes(config);
  return Object.fromEntries(
    Object.entries(shapes).map(([key, shape]) => [
      key,
      key.endsWith('.freqs')
        ? frequencies(config, stackOf(config, key), random.for(key))
        : /\.ls[12]\.gamma$/.test(key)
          ? tf.fill(shape, layerScale)
          : initial(key, shape, shapes, random.for(key)),
    ]),
  );
}

function initial(key: string, shape: number[], shapes: Record<string, number[]>, random: RandomStream): Tensor {
  if (key.includes('.adaLN_modulation.')) return tf.zeros(shape);
  if (/\.norm\d?\.weight$/.test(key)) return tf.ones(shape);
  if (/^(post_)?quant_conv|\.patch_embed\./.test(key)) {
    const [, ...inputs] = shapes[key.replace(/bias$/, 'weight')];
    return uniform(random, shape, inputs.reduce((a, b) => a * b, 1) ** -0.5);
  }
  return key.endsWith('.bias') ? tf.zeros(shape) : truncatedNormal(random, shape, 0.02);
}

/** The encoder or decoder whose key this is. */
function stackOf(config: VitConfig, key: string): Stack {
  const [prefix] = key.split('.');
  return prefix === 'encoder' ? config.encoder : decoders(config).find(spec => spec.prefix === prefix)!;
}

function frequencies({ ropeTheta }: VitConfig, { width, depth, heads }: Stack, random: RandomStream): Tensor {
  return initialMixedFrequencies(depth, heads, width / heads, ropeTheta, random.uniforms(depth * heads));
}
