import { tf, type RandomStream, type Tensor } from '../../engine/index.js';
import { initialMixedFrequencies, truncatedNormal, uniform, type Params } from '../../nn/index.js';
import { decoders, type Stack, type VitConfig } from './config.js';
import { vitShapes } from './shapes.js';

/** LayerScale's first value: a deep residual branch begins as almost nothing (DINOv2's). */
const LAYER_SCALE = 1e-5;

/**
 * Parameters before training, as the authors' backbones have them: weights of blocks, tokens and positions from a
 * truncated normal of 0.02, biases 0, norms 1 and 0, modulation all 0, the layers around the latents and the patch
 * embedding uniform in ±1/√(inputs). Every tensor draws from a stream of its own name.
 */
export function initialParams(config: VitConfig, random: RandomStream): Params {
  const shapes = vitShapes(config);
  return Object.fromEntries(
    Object.entries(shapes).map(([key, shape]) => [
      key,
      key.endsWith('.freqs')
        ? frequencies(config, stackOf(config, key), random.for(key))
        : initial(key, shape, shapes, random.for(key)),
    ]),
  );
}

function initial(key: string, shape: number[], shapes: Record<string, number[]>, random: RandomStream): Tensor {
  if (/\.ls[12]\.gamma$/.test(key)) return tf.fill(shape, LAYER_SCALE);
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
