import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { silentLog } from '../../src/base/index.js';
import { alone } from '../../src/distributed/index.js';
import { RandomStream, startEngine, tf } from '../../src/engine/index.js';
import { decodeImage } from '../../src/io/index.js';
import { vitFromOptions } from '../../src/jobs/train/vit/model.js';
import { vitTrainingOptions, type VitTrainingOptions } from '../../src/jobs/train/vit/options.js';
import { trainableVit } from '../../src/jobs/train/vit/train.js';
import { PUBLISHED_RATIO, type VitModel } from '../../src/tokenizers/vit/index.js';
import { DEFAULT_SETTINGS, portionOf } from '../../src/training/index.js';
import { tempFolder } from '../helpers/temp.js';

beforeAll(async () => {
  await startEngine();
});

const parsed = (typed: object = {}): VitTrainingOptions => vitTrainingOptions.parse({ data: 'images', ...typed });
const model = (name: VitModel, typed: object = {}) => vitFromOptions(name, parsed(typed));

describe('what the options of a tokenizer mean', () => {
  it('one backbone for the three models', () => {
    const stacks = (['ae', 'kl-vae', 'maetok'] as const).map(name => {
      const { encoder, decoder, latentTokens, positions } = model(name).config;
      return { encoder, decoder, latentTokens, positions };
    });
    expect(stacks[1]).toEqual(stacks[0]);
    expect(stacks[2]).toEqual(stacks[0]);
  });

  it('maetok masks 40 to 60 % and predicts HOG, the others do neither', () => {
    expect(model('maetok').recipe.mask).toEqual(PUBLISHED_RATIO);
    expect(model('maetok').recipe.targets.map(({ name }) => name)).toEqual(['hog']);
    expect(model('ae').recipe).toMatchObject({ mask: undefined, targets: [] });
    expect(model('ae').config.maskToken).toBe(false);
    expect(model('kl-vae').config.posterior).toBe('gaussian');
  });

  it('the rows of the ablation are flags', () => {
    const bare = model('maetok', { mask: 'off', aux: 'none' }).config;
    expect(bare.maskToken).toBe(false);
    expect(bare.aux).toBeUndefined();
    expect(model('maetok', { latentTokens: 0 }).config.latentTokens).toBe(0);
    expect(model('maetok', { mask: '0.75' }).recipe.mask).toMatchObject({ min: 0.75, max: 0.75 });
    const { config, recipe } = model('maetok', { aux: 'hog,pixels,edges', auxWeight: '0.5' });
    expect(Object.keys(config.aux!.targets)).toEqual(['hog', 'pixels', 'edges']);
    expect(recipe.targets.map(({ weight }) => weight)).toEqual([0.5, 0.5, 0.5]);
  });

  it.each([
    [{ aux: 'dogs' }, '--aux dogs: no such target; choose from hog, pixels, edges and none'],
    [{ mask: '0.6-0.4' }, '--mask 0.6-0.4: the smaller share comes first'],
    [{ mask: 'off' }, '--aux predicts masked patches, but none are masked'],
    [{ imageSize: 33 }, 'image size 33 is no multiple of the patch size'],
  ])('refuses %j in one line', (typed, message) => {
    expect(() => model('maetok', typed)).toThrow(message);
  });

  it('refuses a mask that is no share', () => {
    expect(() => parsed({ mask: '40%' })).toThrow('must be off, one share such as 0.5, or a range such as 0.4-0.6');
  });
});

describe('maetok train maetok', () => {
  const out = tempFolder();

  it('gives batches, losses, evaluations and a grid of reconstructions', async () => {
    const before = tf.memory().numTensors;
    const trainable = trainableVit('maetok');
    const options = trainable.options.parse({
      data: 'synthetic:scenes?count=40&size=32',
      width: 16,
      depth: 1,
      heads: 2,
      auxWidth: 16,
      auxDepth: 1,
      evaluationImages: 3,
    });
    const settings = { ...DEFAULT_SETTINGS, ...trainable.settings(options), batchSize: 4 };
    const { signal } = new AbortController();
    const { task, network, inputs } = await trainable.prepare({
      options,
      settings,
      portion: portionOf(alone, settings),
      log: silentLog,
      signal,
    });
    expect(network).toMatchObject({ family: 'vit', model: 'maetok', config: { imageSize: 32 } });
    expect(inputs.data).toMatch(/^[0-9a-f]{64}$/);

    const batch = await task.batch(0);
    const context = { step: 0, random: new RandomStream(0), phases: {}, shared: {} };
    const loss = tf.tidy(() => task.loss(task.params, batch, context).loss.dataSync()[0]);
    expect(loss).toBeGreaterThan(0);

    const numbers = (await task.evaluate!({ step: 7, params: task.params, ema: undefined, out })) as Record<
      string,
      number
    >;
    expect(numbers.val_psnr).toBeGreaterThan(0);
    expect(numbers.latent_rank).toBeGreaterThanOrEqual(1);
    expect(numbers.dead_share).toBeLessThanOrEqual(1);
    expect(numbers.knn_accuracy).toBeLessThanOrEqual(1);
    const grid = join(out, 'reconstructions', 'step-7.png');
    expect(existsSync(grid)).toBe(true);
    expect((await decodeImage(grid)).height).toBe(2 * 32 + 2);

    tf.dispose([batch as never, task.params]);
    await task.dispose?.();
    expect(tf.memory().numTensors).toBe(before);
  });
});
