import { beforeAll, describe, expect, it } from '@jest/globals';
import { RandomStream, startEngine, tf, type Scalar, type Tensor, type Tensor4D } from '../../src/engine/index.js';
import { generatorLoss, judgeBoth, newPatchGan, openPerceptual } from '../../src/tokenizers/losses/index.js';
import { gradientDifference } from '../../src/tokenizers/losses/perceptual.js';

const random = new RandomStream(11);
const randomImages = (n: number, size: number): Tensor4D =>
  random.for(`${n} ${size}`).normalTensor([n, size, size, 3]) as Tensor4D;
const number = (x: Tensor): number => x.dataSync()[0];

beforeAll(async () => {
  await startEngine();
});

describe('a new PatchGAN', () => {
  it('judges neighbourhoods, trains its weights and moves its statistics by both halves of a batch', () => {
    const critic = newPatchGan(random, 4, 2);
    tf.tidy(() => {
      const [real, fake] = [randomImages(2, 16), randomImages(3, 16).mul<Tensor4D>(2)];
      const judged = judgeBoth(critic, critic.params, [real, fake], random);
      expect(judged.real.shape[0]).toBe(2);
      expect(judged.fake.shape[0]).toBe(3);
      expect(judged.real.shape[1]).toBeGreaterThan(1);
      const buffers = Object.keys(judged.buffers).sort();
      expect(buffers).toEqual(
        Object.keys(critic.params)
          .filter(key => !critic.trains(key))
          .sort(),
      );
      const alone = critic.judge(critic.params, fake, { train: true }).buffers;
      const moved = (values: Record<string, Tensor>): number => number(values['main.3.running_var'].sub(1).abs().sum());
      expect(moved(judged.buffers)).toBeGreaterThan(moved(alone));
    });
    tf.dispose(critic.params);
  });

  it('begins as pix2pix does: weights of a normal of 0.02', () => {
    const { params } = newPatchGan(random, 32, 2);
    const { mean, variance } = tf.moments(params['main.2.weight']);
    expect(number(mean)).toBeCloseTo(0, 3);
    expect(Math.sqrt(number(variance))).toBeCloseTo(0.02, 3);
    expect(number(params['main.3.weight'].mean())).toBeCloseTo(1, 1);
    tf.dispose(params);
  });
});

describe('the non-saturating loss', () => {
  it('pulls hardest where the discriminator is surest that an image is decoded', () => {
    const slope = (logit: number): number =>
      number(tf.grad((x: Tensor) => generatorLoss['non-saturating'](x))(tf.tensor1d([logit])));
    expect(slope(-8)).toBeCloseTo(-1, 3);
    expect(slope(0)).toBeCloseTo(-0.5, 5);
    expect(slope(8)).toBeCloseTo(0, 3);
  });
});

describe('gradient differences, where LPIPS has no weights', () => {
  it('are nothing for equal images and for a change of brightness, and more for a blur', () => {
    tf.tidy(() => {
      const image = randomImages(2, 16);
      const between = (other: Tensor): number => number(gradientDifference(other as Tensor4D, image));
      expect(between(image)).toBe(0);
      expect(between(image.add(0.3))).toBeCloseTo(0, 6);
      const blurred = tf.avgPool(image, 3, 1, 'same');
      expect(between(blurred)).toBeGreaterThan(0.1);
    });
  });

  it('have a gradient that leads downhill, on sides that do not halve evenly too', () => {
    tf.tidy(() => {
      const image = randomImages(1, 7);
      const f = (x: Tensor): Scalar => gradientDifference(x as Tensor4D, image);
      const start = randomImages(1, 7).mul(0.5);
      const slope = tf.grad(f)(start);
      expect(number(f(start.sub(slope.mul(0.01))))).toBeLessThan(number(f(start)));
    });
  });

  it('stand in by name', async () => {
    const perceptual = await openPerceptual(undefined);
    expect(perceptual).toMatchObject({ name: 'gradient differences at 3 scales, no LPIPS weights' });
    expect(perceptual.digest).toBeUndefined();
    await expect(openPerceptual('/nowhere/vgg.pth')).rejects.toThrow(/nowhere/);
  });
});
