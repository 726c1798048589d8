import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { RandomStream, startEngine, tf, type Tensor4D } from '../../src/engine/index.js';
import { lpips, openLpips } from '../../src/features/index.js';
import { lpipsShapes } from '../../src/features/lpips.js';
import { syntheticWeights } from '../../src/features/synthetic-weights.js';
import { writeSafetensors, type NdArray } from '../../src/io/index.js';
import { paramsFrom } from '../../src/nn/index.js';
import { tempFolder } from '../helpers/temp.js';

const root = tempFolder();
let weights: Record<string, NdArray>;

beforeAll(async () => {
  await startEngine();
  const made = syntheticWeights({ salt: 'test:', gain: 1.4 }, lpipsShapes());
  weights = Object.fromEntries(
    Object.entries(made).map(([key, { shape, data }]) => [
      key,
      { shape, dtype: 'float32', data: data as Float32Array },
    ]),
  );
});

const torchvision = (key: string): string => key.replace(/^net\.slice\d\./, 'features.');
const part = (keep: (key: string) => boolean, name = (key: string) => key): Record<string, NdArray> =>
  Object.fromEntries(
    Object.entries(weights)
      .filter(([key]) => keep(key))
      .map(([key, array]) => [name(key), array]),
  );

describe('LPIPS', () => {
  test('opens from VGG16 as torchvision names it and the published linear weights', async () => {
    const [vgg, lin] = ['vgg', 'lin'].map(name => join(root, `${name}.safetensors`));
    await writeSafetensors(
      vgg,
      part(key => key.startsWith('net'), torchvision),
    );
    await writeSafetensors(
      lin,
      part(key => key.startsWith('lin')),
    );
    const opened = await openLpips(`${lin},${vgg}`);
    const own = paramsFrom(weights);
    const [a, b] = ['a', 'b'].map(name => new RandomStream(1, name).normalTensor([1, 33, 32, 3]) as Tensor4D);
    expect(lpips(opened.params, a, b).dataSync()).toEqual(lpips(own, a, b).dataSync());
    expect(lpips(opened.params, a, a).dataSync()[0]).toBe(0);
    await expect(openLpips(lin)).rejects.toThrow(/has no VGG16 .*VGG16_FILE,LIN_FILE/);
    opened.dispose();
    tf.dispose(own);
  });

  test('its gradient is that of finite differences, so it can be trained on', () => {
    const params = paramsFrom(weights);
    const [a, b] = ['a', 'b'].map(name => new RandomStream(2, name).normalTensor([1, 16, 16, 3]).mul<Tensor4D>(0.3));
    const loss = (x: Tensor4D) => lpips(params, x, b).sum();
    const gradient = tf.grad(x => loss(x as Tensor4D))(a);
    // Along the gradient itself the difference is largest, and furthest from rounding.
    const [norm] = gradient.norm().dataSync();
    const step = gradient.mul<Tensor4D>(0.01 / norm);
    const [rise] = loss(a.add(step))
      .sub(loss(a.sub(step)))
      .dataSync();
    expect(rise / 0.02).toBeCloseTo(norm, 4);
    tf.dispose(params);
  });
});
