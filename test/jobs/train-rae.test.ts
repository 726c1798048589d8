import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { silentLog } from '../../src/base/index.js';
import { alone } from '../../src/distributed/index.js';
import { RandomStream, startEngine, tf, type Tensor3D, type Tensor4D } from '../../src/engine/index.js';
import { trainModel } from '../../src/jobs/train/index.js';
import { trainableRaeDecoder } from '../../src/jobs/train/rae/index.js';
import { openTokenizer } from '../../src/tokenizers/index.js';
import { emptyStatistics, movedStatistics, noiseLevels } from '../../src/tokenizers/rae/index.js';
import { DEFAULT_SETTINGS, portionOf } from '../../src/training/index.js';
import { tempFolder } from '../helpers/temp.js';

beforeAll(async () => {
  await startEngine();
});

const ENCODER = fileURLToPath(new URL('../../fixtures/golden/rae/authors/encoder', import.meta.url));
const SMALL = {
  encoder: ENCODER,
  data: 'synthetic:scenes?count=40&size=32',
  width: 16,
  depth: 1,
  heads: 2,
  evaluationImages: 3,
};

describe('the noise on latents in training', () => {
  const levels = (distribution: 'uniform' | 'half-normal') =>
    Array.from(noiseLevels(0.8, distribution, 6000, new RandomStream(1)));
  const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;

  it('has a level uniform in [0, τ], as the authors’ code draws it', () => {
    const drawn = levels('uniform');
    expect(Math.max(...drawn)).toBeLessThanOrEqual(0.8);
    expect(mean(drawn)).toBeCloseTo(0.4, 1);
  });

  it('or |N(0, τ²)|, as their paper says', () => {
    const drawn = levels('half-normal');
    expect(mean(drawn)).toBeCloseTo(0.8 * Math.sqrt(2 / Math.PI), 1);
    expect(mean(drawn.map(level => level ** 2))).toBeCloseTo(0.64, 1);
  });
});

it('statistics measured batch by batch are those of all tokens', async () => {
  const batches = [3, 5, 2].map((n, i) => tf.randomNormal<Tensor3D['rankType']>([n, 4, 6], i, 1 + i, 'float32', i));
  const apart = tf.tidy(() => {
    const moved = batches.reduce((params, tokens) => movedStatistics(params, tokens), emptyStatistics(6, 2));
    const { mean, variance } = tf.moments(tf.concat(batches), 0);
    const asMap = (x: typeof mean) => tf.transpose(x, [1, 0]).reshape([6, 2, 2]);
    return [
      moved._latents_mean.sub(asMap(mean)).abs().max(),
      moved._latents_std.sub(asMap(variance).add(1e-5).sqrt()).abs().max(),
    ];
  });
  for (const difference of apart) expect((await difference.data())[0]).toBeLessThan(1e-5);
  tf.dispose([batches, apart]);
});

describe('maetok train rae-decoder', () => {
  const out = tempFolder();

  it('trains the decoder alone, and keeps no tensor', async () => {
    const before = tf.memory().numTensors;
    const trainable = trainableRaeDecoder();
    const options = trainable.options.parse({ ...SMALL, layers: '0,2', latentStatistics: undefined });
    const settings = { ...DEFAULT_SETTINGS, ...trainable.settings(options), batchSize: 4 };
    const { signal } = new AbortController();
    const { task, network, inputs } = await trainable.prepare({
      options,
      settings,
      portion: portionOf(alone, settings),
      log: silentLog,
      signal,
    });
    expect(network).toMatchObject({
      family: 'rae',
      config: { inputSize: 56, side: 4, layers: [0, 2], standardised: false },
    });
    expect(inputs.encoder).toMatch(/^[0-9a-f]{64}$/);
    expect(
      Object.keys(task.params)
        .filter(key => task.trains!(key))
        .every(key => key.startsWith('decoder.')),
    ).toBe(true);
    const batch = await task.batch(0);
    const context = { step: 0, random: new RandomStream(0), phases: {} };
    const loss = tf.tidy(() => task.loss(task.params, batch, context).loss.dataSync()[0]);
    expect(loss).toBeGreaterThan(0);
    tf.dispose([batch as never, task.params]);
    await task.dispose?.();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('leaves a run that opens as a tokenizer with the statistics that it measured', async () => {
    const run = join(out, 'run');
    await trainModel(
      { model: 'rae-decoder', options: SMALL, settings: { steps: 2, batchSize: 16 }, out: run, command: [] },
      { log: silentLog, signal: new AbortController().signal, communicator: alone },
    );
    const tokenizer = await openTokenizer(run);
    expect(tokenizer).toMatchObject({ family: 'rae', imageSize: 32, latentShape: [16, 24], grid: [4, 4] });
    expect(tokenizer.normalisation.per).toBe('position');
    const images = tf.randomUniform<Tensor4D['rankType']>([2, 32, 32, 3], -1, 1, 'float32', 0);
    const latents = await tokenizer.encode(images);
    const decoded = await tokenizer.decode(latents);
    expect(decoded.shape).toEqual([2, 32, 32, 3]);
    tf.dispose([images, latents, decoded]);
    tokenizer.dispose();
  });

  it.each([
    [{ imageSize: 30 }, '--image-size 30: is not a multiple of the decoder’s patch size 8'],
    [{ layers: '3' }, '--layers 3: the encoder has 3 blocks, counted from 0'],
    [{ width: 18 }, '--width 18: must be a multiple of 4'],
  ])('refuses %j', async (typed, message) => {
    const trainable = trainableRaeDecoder();
    const options = trainable.options.parse({ ...SMALL, ...typed });
    const { signal } = new AbortController();
    const before = tf.memory().numTensors;
    await expect(
      trainable.prepare({
        options,
        settings: DEFAULT_SETTINGS,
        portion: portionOf(alone, DEFAULT_SETTINGS),
        log: silentLog,
        signal,
      }),
    ).rejects.toThrow(message.replace('’', "'"));
    expect(tf.memory().numTensors).toBe(before);
  });
});
