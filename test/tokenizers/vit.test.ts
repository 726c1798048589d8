import { beforeAll, describe, expect, it } from '@jest/globals';
import {
  RandomStream,
  startEngine,
  tf,
  valueAndGradients,
  type Scalar,
  type Tensor,
  type Tensor3D,
  type Tensor4D,
} from '../../src/engine/index.js';
import type { Params } from '../../src/nn/index.js';
import { vitConfigSchema, type VitConfig } from '../../src/tokenizers/vit/config.js';
import {
  decode,
  encode,
  IMAGE_TARGETS,
  initialParams,
  PROJECTION,
  PUBLISHED_RATIO,
  targetFeatures,
  tokenizerOf,
  vitLoss,
  vitShapes,
  type VitBatch,
  type VitRecipe,
  type VitStep,
} from '../../src/tokenizers/vit/index.js';

const random = new RandomStream(7);

beforeAll(async () => {
  await startEngine();
});

const SMALL = {
  imageSize: 16,
  patchSize: 8,
  latentTokens: 3,
  latentChannels: 2,
  encoder: { width: 16, depth: 2, heads: 2 },
  decoder: { width: 16, depth: 2, heads: 2, kind: 'movq', classToken: false },
};

const configured = (changes: object = {}): VitConfig => vitConfigSchema.parse({ ...SMALL, ...changes });
const randomImages = (n: number, size = 16): Tensor4D =>
  tf.clipByValue(random.for('pictures').normalTensor([n, size, size, 3]), -1, 1) as Tensor4D;

/** Fresh parameters, those that start at zero moved away from it. */
function parameters(config: VitConfig): Params {
  return Object.fromEntries(
    Object.entries(initialParams(config, random)).map(([key, value]) => [
      key,
      /adaLN|gamma/.test(key) ? random.for(key).normalTensor(value.shape) : value,
    ]),
  );
}

describe('the ViT tokenizer', () => {
  const CONFIGS: [string, object][] = [
    ['learned latent tokens', {}],
    ['image tokens as latents', { latentTokens: 0 }],
    ['absolute positions', { positions: 'absolute' }],
    [
      'absolute positions without a class token',
      { positions: 'absolute', decoder: { ...SMALL.decoder, kind: 'plain' } },
    ],
    ['axial rotations', { positions: 'rope-axial' }],
    [
      'image tokens, plain decoder',
      { latentTokens: 0, decoder: { ...SMALL.decoder, kind: 'plain', classToken: true } },
    ],
    ['one latent token', { latentTokens: 1 }],
  ];

  it.each(CONFIGS)('%s: images to latents and back, every parameter used', (_, changes) => {
    tf.tidy(() => {
      const config = configured(changes);
      const params = parameters(config);
      const images = randomImages(2);
      const names = Object.keys(vitShapes(config));
      expect(Object.keys(params)).toEqual(names);
      const { latents } = encode(config, params, images);
      expect(latents.shape).toEqual([2, config.latentTokens || 4, 2]);
      expect(decode(config, params, latents).output.shape).toEqual([2, 16, 16, 3]);
      const { grads } = tf.valueAndGrads((...weights: Tensor[]) => {
        const moved = Object.fromEntries(names.map((name, i) => [name, weights[i]]));
        return decode(config, moved, encode(config, moved, images).latents)
          .output.square()
          .mean()
          .asScalar();
      })(names.map(name => params[name]));
      for (const [i, name] of names.entries())
        expect({ name, moves: grads[i].abs().max().dataSync()[0] > 0 }).toEqual({ name, moves: true });
    });
  });

  it('takes images of other sizes by interpolating its positions', () => {
    tf.tidy(() => {
      const config = configured();
      const params = parameters(config);
      const { latents } = encode(config, params, randomImages(1, 32));
      expect(latents.shape).toEqual([1, 3, 2]);
      expect(decode(config, params, latents, { grid: [4, 4] }).output.shape).toEqual([1, 32, 32, 3]);
    });
  });

  it('names its intermediates and keeps only those that are wanted', () => {
    const config = configured();
    const params = parameters(config);
    const images = randomImages(1);
    const before = tf.memory().numTensors;
    const { latents, activations } = encode(config, params, images, { wanted: name => name === 'blocks.0' });
    expect(Object.keys(activations)).toEqual(['blocks.0']);
    expect(activations['blocks.0'].shape).toEqual([1, 1 + 4 + 3, 16]);
    expect(tf.memory().numTensors).toBe(before + 2);
    tf.dispose([latents, activations, params, images]);
  });

  it('a masked patch does not reach the latents', () => {
    tf.tidy(() => {
      const config = configured({ maskToken: true });
      const params = parameters(config);
      const images = randomImages(1);
      const changed = images.add<Tensor4D>(
        tf.pad(tf.ones([1, 8, 8, 3]), [
          [0, 0],
          [0, 8],
          [0, 8],
          [0, 0],
        ]),
      );
      const hidden = tf.tensor2d([[1, 0, 0, 0]]);
      const latents = (x: Tensor4D, mask?: Tensor): Float32Array =>
        encode(config, params, x, { mask }).latents.dataSync() as Float32Array;
      expect(latents(changed, hidden)).toBeAllClose(latents(images, hidden), { rtol: 1e-6 });
      expect(latents(changed)).not.toBeAllClose(latents(images), { rtol: 1e-3 });
    });
  });

  it('as a tokenizer speaks z, and says by which shift and scale it is handed on', async () => {
    const config = configured({ latentMean: 0.5, latentStd: 2 });
    const tokenizer = tokenizerOf({ name: 'test', config, params: parameters(config), digest: '' });
    const images = randomImages(1);
    const latents = await tokenizer.encode(images);
    const z = tf.tidy(() => encode(config, parameters(config), images).latents);
    expect(latents.dataSync()).toBeAllClose(z.dataSync(), { rtol: 1e-6 });
    expect(tokenizer.normalisation).toMatchObject({ shift: Float64Array.of(0.5), scale: Float64Array.of(0.5) });
    const image = await tokenizer.decode(latents);
    expect(image.shape).toEqual(images.shape);
    tokenizer.dispose();
    tf.dispose([images, latents, z, image]);
  });

  it.each([
    [{ patchSize: 5 }, 'image size 16 is no multiple of the patch size 5'],
    [{ encoder: { width: 16, depth: 1, heads: 3 } }, /encoder: 3 heads of width 16/],
    [{ encoder: { width: 12, depth: 1, heads: 2 } }, /6 numbers a head, must be a multiple of 4/],
  ])('refuses %j', (changes, message) => {
    expect(() => configured(changes)).toThrow(message);
  });
});

describe('the loss of a ViT tokenizer', () => {
  const targets = ['hog', 'pixels', 'edges'].map(name => IMAGE_TARGETS[name](8));
  const config = configured({
    maskToken: true,
    posterior: 'gaussian',
    aux: { width: 8, depth: 1, heads: 1, targets: Object.fromEntries(targets.map(({ name, width }) => [name, width])) },
  });
  const recipe: VitRecipe = { mask: PUBLISHED_RATIO, targets, auxOver: 'masked', l2: 1, l1: 0.5, kl: 0.1 };

  it('is the weighted sum of its terms, a function of the stream only', async () => {
    const images = randomImages(2);
    const batch: VitBatch = { images, targets: await targetFeatures(targets, images, []) };
    tf.tidy(() => {
      const params = parameters(config);
      const run = (step: number): Record<string, number> => {
        const { loss, metrics } = vitLoss(config, recipe, params, batch, { step, random: random.at(step) });
        const numbers = Object.entries({ loss, ...metrics }).map(([key, x]) => [key, (x as Tensor).dataSync()[0]]);
        return Object.fromEntries(numbers) as Record<string, number>;
      };
      const { loss, mse, mae, kl, aux_hog: hog, aux_pixels: pixels, aux_edges: edges } = run(3);
      expect(loss).toBeCloseTo(mse + 0.5 * mae + 0.1 * kl + hog + pixels + edges, 4);
      expect(run(3)).toEqual({ loss, mse, mae, kl, aux_hog: hog, aux_pixels: pixels, aux_edges: edges });
      expect(run(4).loss).not.toBe(loss);
    });
  });

  it('falls in a few steps of gradient descent', async () => {
    const images = randomImages(4);
    const batch: VitBatch = { images, targets: await targetFeatures(targets, images, []) };
    let params = initialParams(config, random);
    const names = Object.keys(params);
    const losses: number[] = [];
    for (let step = 0; step < 12; step++) {
      params = tf.tidy(() => {
        const { value, grads } = tf.valueAndGrads((...weights: Tensor[]) => {
          const moved = Object.fromEntries(names.map((name, i) => [name, weights[i]]));
          return vitLoss(config, { ...recipe, kl: 1e-6 }, moved, batch, { step: 0, random: random.at(0) }).loss;
        })(names.map(name => params[name]));
        losses.push(value.dataSync()[0]);
        return Object.fromEntries(names.map((name, i) => [name, params[name].sub(grads[i].mul(0.1))]));
      });
    }
    expect(losses.at(-1)).toBeLessThan(losses[0] - 0.02);
  });

  const plain: VitRecipe = { targets: [], auxOver: 'all', l2: 1, l1: 0, kl: 0 };
  const gradientsOf = (
    own: VitConfig,
    chosen: VitRecipe,
    params: Params,
    batch: VitBatch,
    step: Partial<VitStep> = {},
  ) => {
    const names = Object.keys(params);
    const { value, gradients } = valueAndGradients(
      () => vitLoss(own, chosen, params, batch, { step: 0, random, ...step }).loss,
      names.map(name => params[name]),
    );
    return { value, gradients: Object.fromEntries(names.map((name, i) => [name, gradients[i] ?? tf.scalar(0)])) };
  };
  const largest = (x: Tensor): number => x.abs().max().dataSync()[0];

  it.each([
    ['learned tokens', {}],
    ['absolute positions, plain decoder', { positions: 'absolute', decoder: { ...SMALL.decoder, kind: 'plain' } }],
  ])('has the same gradients where blocks are computed again in the backward pass: %s', (_, changes) => {
    const own = configured(changes);
    const params = parameters(own);
    const batch = { images: randomImages(2), targets: {} };
    const kept = gradientsOf(own, plain, params, batch);
    const again = gradientsOf(own, { ...plain, recompute: true }, params, batch);
    expect(again.value.dataSync()[0]).toBeCloseTo(kept.value.dataSync()[0], 6);
    for (const name of Object.keys(params))
      expect(largest(tf.sub(again.gradients[name], kept.gradients[name]))).toBeLessThan(
        1e-5 * (1 + largest(kept.gradients[name])),
      );
  });

  it('balances a discriminator at the last layer, or takes its weight as it is', () => {
    const own = configured();
    const params = parameters(own);
    const batch = { images: randomImages(2), targets: {} };
    const brightness = { loss: (x: Tensor4D) => x.mean().neg().mul<Scalar>(7), weight: 0.5 };
    const without = gradientsOf(own, plain, params, batch).gradients;
    const fixed = gradientsOf(own, plain, params, batch, { adversary: { ...brightness, adaptive: false } });
    const balanced = gradientsOf(own, plain, params, batch, { adversary: { ...brightness, adaptive: true } });
    const last = 'decoder.to_pixel.model.weight';
    const share = (x: Params): Tensor => tf.sub(x[last], without[last]);
    const number = (x: unknown): number => (x as Tensor).dataSync()[0];
    // Both parts pull at the last layer with gradients of one length, times the weight.
    expect(number(share(balanced.gradients).norm())).toBeCloseTo(0.5 * number(without[last].norm()), 4);
    const ratio = number(share(balanced.gradients).norm()) / number(share(fixed.gradients).norm());
    const apart = tf.sub(share(fixed.gradients).mul(ratio), share(balanced.gradients));
    expect(largest(apart)).toBeLessThan(1e-3 * largest(share(balanced.gradients)));
  });

  it('aligns latents with features, balanced at the encoder’s last layer', () => {
    const own = configured({ latentTokens: 0 });
    const params = { ...parameters(own), [PROJECTION]: random.for('projection').normalTensor([5, 2]) };
    const images = randomImages(2);
    const batch: VitBatch = { images, targets: {}, align: random.for('features').normalTensor([2, 4, 5]) as Tensor3D };
    const align = { weight: 0.1, margins: { cosine: 0, distance: 0 } };
    const without = gradientsOf(own, plain, params, batch).gradients;
    const aligned = gradientsOf(own, { ...plain, align }, params, batch).gradients;
    const last = 'quant_conv.weight';
    const ratio = tf.sub(aligned[last], without[last]).norm().div(without[last].norm()).dataSync()[0];
    expect(ratio).toBeCloseTo(0.1, 3);
    expect(largest(aligned[PROJECTION])).toBeGreaterThan(0);
  });

  it('of images larger than the model’s: any grid that patches tile', () => {
    for (const positions of ['rope-mixed', 'absolute'])
      tf.tidy(() => {
        const own = configured({ positions, maskToken: true });
        const recipe = { ...plain, mask: PUBLISHED_RATIO };
        const { reconstruction } = vitLoss(
          own,
          recipe,
          parameters(own),
          { images: randomImages(2, 24), targets: {} },
          { step: 0, random },
        );
        expect(reconstruction.shape).toEqual([2, 24, 24, 3]);
      });
  });

  it('of images larger than the model’s moves absolute positions as finite differences say', () => {
    const own = configured({ positions: 'absolute', decoder: { ...SMALL.decoder, kind: 'plain' } });
    const params = parameters(own);
    const batch = { images: randomImages(2, 24), targets: {} };
    const name = 'decoder.model.pos_embed';
    const gradient = gradientsOf(own, plain, params, batch).gradients[name];
    // The first patch alone: in a corner it makes the most difference whose share of a new position is whose.
    const corner = tf.oneHot(tf.tensor1d([1], 'int32'), gradient.shape[1]!).reshape([1, -1, 1]);
    const step = tf.sign(gradient).mul(corner).mul(0.05);
    const at = (way: number): number => {
      const moved = { ...params, [name]: params[name].add(step.mul(way)) };
      return vitLoss(own, plain, moved, batch, { step: 0, random }).loss.dataSync()[0];
    };
    expect((at(1) - at(-1)) / 2 / gradient.mul(step).sum().dataSync()[0]).toBeCloseTo(1, 2);
  });
});
