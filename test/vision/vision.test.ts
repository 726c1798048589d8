import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { startEngine, tf, type Tensor4D } from '../../src/engine/index.js';
import { readJson, readSafetensors, type NdArray } from '../../src/io/index.js';
import { readVision, type VisionSource } from '../../src/vision/index.js';
import { openVit } from '../../src/features/index.js';
import { verifyCase } from '../../src/verify/verify.js';
import { describeWithShared, SHARED } from '../helpers/shared.js';

const FIXTURES = fileURLToPath(new URL('../../fixtures/golden/vision', import.meta.url));
const casesIn = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true }).flatMap(entry => (entry.isDirectory() ? entry.name : []));

describe.each(['native', 'wasm'])('frozen vision transformers on %s', engine => {
  let runs = true;
  beforeAll(async () => {
    // Where there is no native engine, the same cases on WASM are the whole test.
    runs = (await startEngine(engine).catch(() => undefined)) === engine;
  });

  async function failures(folder: string): Promise<string[]> {
    const before = tf.memory().numTensors;
    const rows = await verifyCase(folder, { tolerance: 1e-5 });
    expect(rows.length).toBeGreaterThan(0);
    expect(tf.memory().numTensors).toBe(before);
    return rows.filter(({ pass }) => !pass).map(row => `${row.tensor}: ${row.max_rel_diff}`);
  }

  it.each(casesIn(FIXTURES))('%s: every recorded tensor', async name => {
    if (runs) expect(await failures(`${FIXTURES}/${name}`)).toEqual([]);
  });

  describeWithShared('golden/vit-features', 'all recorded cases', () => {
    it('every recorded tensor', async () => {
      for (const name of runs ? casesIn(`${SHARED}/golden/vit-features`) : [])
        expect(await failures(`${SHARED}/golden/vit-features/${name}`)).toEqual([]);
    });
  });
});

describe('weights of a vision transformer', () => {
  const source = async (name: string): Promise<VisionSource & { weights: Record<string, NdArray> }> => ({
    name,
    weights: await readSafetensors(`${FIXTURES}/${name}/weights.safetensors`),
    config: (await readJson(`${FIXTURES}/${name}/config.json`)) as Record<string, unknown>,
  });
  const without = (weights: Record<string, NdArray>, key: string): Record<string, NdArray> =>
    Object.fromEntries(Object.entries(weights).filter(([name]) => name !== key));

  it.each([
    ['dinov2-swiglu', 'transformers 4 (or saved by 5)'],
    ['dinov2-other-size', 'transformers 5 in memory'],
    ['timm-dinov2', 'timm'],
  ])('%s: tells whose names they have', async (name, spelling) => {
    const vision = await readVision(await source(name));
    tf.dispose(vision.params);
    expect(vision.spelling).toBe(spelling);
  });

  it('are found under the prefix of a larger model', async () => {
    const found = await source('timm-siglip');
    const weights = Object.fromEntries(
      Object.entries(found.weights).map(([key, array]) => [`visual.trunk.${key}`, array]),
    );
    const { config, params } = await readVision({
      ...found,
      weights: { ...weights, logit_scale: found.weights['norm.bias'] },
    });
    tf.dispose(params);
    expect(config.family).toBe('siglip');
  });

  it('are refused where one is missing, in the names of the file', async () => {
    const found = await source('dinov2-swiglu');
    const key = 'encoder.layer.1.attention.attention.key.weight';
    await expect(readVision({ ...found, weights: without(found.weights, key) })).rejects.toThrow(
      `has no tensor ${key}`,
    );
  });

  it('are refused where one would not be read', async () => {
    const found = await source('dinov3-gated');
    const extra = { ...found.weights, 'layer.0.attention.q_norm.weight': found.weights['norm.weight'] };
    await expect(readVision({ ...found, weights: extra })).rejects.toThrow(
      /layer\.0\.attention\.q_norm\.weight is no part/,
    );
    const fewer = { parameters: { ...(found.config.parameters as object), num_hidden_layers: 1 } };
    await expect(readVision({ ...found, config: fewer })).rejects.toThrow(
      /layer\.1\.\S+ and \d+ more would not be read/,
    );
  });

  it.each([
    [{ model_type: 'siglip2_vision_model' }, /model_type: 'siglip2_vision_model' is not supported/],
    [{ hidden_act: 'relu' }, /hidden_act: 'relu' is not supported/],
    [{ num_attention_heads: null }, /no published dinov2 is 24 wide.*num_attention_heads/],
  ])('are refused with a config of %j', async (changed, message) => {
    const found = await source('dinov2-other-size');
    const config = { parameters: { ...(found.config.parameters as object), ...changed } };
    await expect(readVision({ ...found, config })).rejects.toThrow(message);
  });
});

describe('vit:WEIGHTS', () => {
  const weights = `${FIXTURES}/timm-dinov2/weights.safetensors`;
  const images = (): Tensor4D => tf.randomUniform([2, 40, 40, 3], -1, 1, 'float32', 1);

  it.each([
    ['tokens=class', [2, 1, 24]],
    ['tokens=patches', [2, 9, 24]],
    ['tokens=all&layer=1', [2, 10, 24]],
    ['tokens=mean', [2, 1, 24]],
  ])('%s gives what it asks for of images of any size', async (query, shape) => {
    const vit = await openVit(`${weights}?size=42&${query}`, 'class');
    const pixels = images();
    const tokens = vit.tokens(pixels);
    expect(tokens.shape).toEqual(shape);
    tf.dispose([pixels, tokens]);
    vit.dispose();
  });

  it.each([
    ['layer=3', /layer is at most 2/],
    ['tokens=cls', /tokens is one of class, registers/],
    ['tokens=registers', /has no registers/],
    ['side=3', /side cannot be set/],
  ])('?%s is refused', async (query, message) => {
    const before = tf.memory().numTensors;
    await expect(openVit(`${weights}?${query}`, 'class')).rejects.toThrow(message);
    expect(tf.memory().numTensors).toBe(before);
  });
});
