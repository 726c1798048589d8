import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { startEngine, tf, valueAndGradients, type Tensor4D } from '../../src/engine/index.js';
import { configureEngine } from '../../src/engine/options.js';
import { area, bicubic, bilinear, resample } from '../../src/nn/index.js';

interface Case {
  mode: 'bilinear' | 'bicubic' | 'area';
  from: [number, number];
  to: [number, number];
  x: number[];
  y: number[];
  dy: number[];
  dx: number[];
}

const recorded = JSON.parse(
  readFileSync(new URL('../../fixtures/golden/resample/torch.json', import.meta.url), 'utf8'),
) as { cases: Case[] };
const WEIGHTS = { area, bicubic, bilinear };

beforeAll(async () => {
  await startEngine();
});

const images = (values: number[], [h, w]: [number, number]): Tensor4D =>
  tf.tensor4d(values, [1, h, w, values.length / (h * w)]);

describe('resizing and its gradient are PyTorch’s', () => {
  test.each(recorded.cases.map(one => [`${one.mode} ${one.from.join(' × ')} to ${one.to.join(' × ')}`, one] as const))(
    '%s',
    (_, { mode, from, to, x, y, dy, dx }) => {
      const source = images(x, from);
      const { value, gradients } = valueAndGradients(() => resample(source, ...to, WEIGHTS[mode]), [source], {
        dy: images(dy, to),
      });
      expect(value.dataSync()).toBeAllClose(y, { rtol: 2e-6 });
      expect(gradients[0]!.dataSync()).toBeAllClose(dx, { rtol: 2e-6 });
    },
  );
});

test('where products are rounded to bfloat16, resizing is not', () => {
  const [one] = recorded.cases;
  configureEngine({ precision: 'bf16' });
  const resized = resample(images(one.x, one.from), ...one.to, WEIGHTS[one.mode]);
  configureEngine({ precision: 'f32' });
  expect(resized.dataSync()).toBeAllClose(one.y, { rtol: 2e-6 });
});
