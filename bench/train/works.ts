import { forward, initialise, isTable, networkConfig } from '../../src/diffusion/index.js';
import { tf, type RandomStream, type Scalar, type Tensor, type Tensor4D } from '../../src/engine/index.js';
import { writeSafetensors } from '../../src/io/index.js';
import { arraysFrom, prefixed, type Params } from '../../src/nn/index.js';
import {
  decode,
  encode,
  initialParams,
  PUBLISHED_RATIO,
  randomMasks,
  vitPreset,
  type VitSize,
} from '../../src/tokenizers/vit/index.js';
import type { TrainingTask } from '../../src/training/index.js';

/** One model's training step, the same numbers for both sides. */
export interface Work {
  name: string;
  /** Parameters from which the peer builds its model. */
  config: object;
  /** Initial weights. */
  initial: () => Params;
  /** Other inputs of a step; also handed to the peer. */
  data: Record<string, Tensor>;
  loss: TrainingTask['loss'];
  trains?: (name: string) => boolean;
  weightDecay: number;
}

/** Writes initial weights, and inputs under `data.`, for the peer. */
export async function writeCase(path: string, { initial, data }: Work): Promise<void> {
  await writeSafetensors(path, { ...(await arraysFrom(initial())), ...prefixed(await arraysFrom(data), 'data') });
}

/** MAETok: encoder under a mask and modulated decoder, mean squared error of the pixels. */
export function maetok(size: VitSize, count: number, random: RandomStream): Work {
  const config = vitPreset('maetok', size);
  const side = config.imageSize;
  const patches = (side / config.patchSize) ** 2;
  const normal = random.for('images').normalTensor([count, side, side, 3]);
  const images = tf.tidy(() => tf.clipByValue<Tensor4D>(normal.mul(0.5), -1, 1));
  const mask = tf.tensor2d(randomMasks(random.for('mask'), PUBLISHED_RATIO, count, patches), [count, patches]);
  return {
    name: `maetok-${size}, ${side} px, batch ${count}`,
    config,
    initial: () => moved(initialParams(config, random.for('weights')), random),
    data: { images, mask },
    loss: params => {
      const { latents } = encode(config, params, images, { mask });
      return { loss: decode(config, params, latents).output.sub(images).square().mean<Scalar>(), metrics: {} };
    },
    weightDecay: 1e-4,
  };
}

const CLASSES = 1000;

/** SiT on 128 tokens of 32 numbers: the squared error of the velocity at given times. */
export function sit(model: string, count: number, random: RandomStream, options: { depth?: number } = {}): Work {
  const [tokens, channels] = [128, 32];
  const config = networkConfig(model, { tokens, channels }, { classes: CLASSES, ...options });
  const noisy = random.for('noisy').normalTensor([count, tokens, channels]);
  const velocity = random.for('velocity').normalTensor([count, tokens, channels]);
  const times = random.for('times').uniforms(count);
  const labels = random.for('labels').integers(count, CLASSES);
  return {
    name: `${model}, ${tokens}×${channels} latents, batch ${count}`,
    config,
    initial: () => moved(initialise(config, random.for('weights')), random),
    data: { noisy, velocity, times: tf.tensor1d(times), labels: tf.tensor1d(Float32Array.from(labels)) },
    loss: params => {
      const { prediction } = forward(config, params, { x: noisy, t: times, labels });
      return { loss: prediction.sub(velocity).square().mean<Scalar>(), metrics: {} };
    },
    trains: key => !isTable(key),
    weightDecay: 0,
  };
}

/** Modulation of zeros and all but zero LayerScale would hide most of a network from a comparison of losses. */
function moved(initial: Params, random: RandomStream): Params {
  return Object.fromEntries(
    Object.entries(initial).map(([key, value]) => {
      if (/\.gamma$/.test(key)) return [key, tf.fill(value.shape, 0.3)];
      const zero = key.includes('adaLN') || key.startsWith('final_layer');
      return [key, zero ? tf.tidy(() => random.for(key).normalTensor(value.shape).mul(0.05)) : value];
    }),
  );
}
