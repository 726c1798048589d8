import { readFileSync } from 'node:fs';
import { parse } from 'csv-parse/sync';
import { describe, expect, it } from '@jest/globals';
import { MODEL_PRESETS } from '../../src/jobs/models.js';
import { countParameters, type Shapes } from '../../src/nn/index.js';
import { toLatentDiffusionKeys } from '../../src/tokenizers/ldm/keys.js';
import { maetok } from '../helpers/cli.js';
import { rowsOf } from '../helpers/csv.js';
import { describeWithShared, SHARED } from '../helpers/shared.js';

const preset = (name: string) => MODEL_PRESETS.find(model => model.name === name)!;

// Published: MAETok's and SiT's by instantiating the authors' code, VA-VAE's, DC-AE's and SD-VAE's by their papers,
// model cards and files, TAESD's by their files.
const PUBLISHED: [name: string, parameters: number][] = [
  ['maetok-b-128', 173_891_360],
  ['maetok-b-128-plain', 172_681_760],
  ['maetok-b-128-512', 175_071_008],
  ['ae-vit-b-128', 173_873_696],
  ['kl-vit-b-128', 172_687_168],
  ['kl-16', 71_754_387],
  ['va-vae-f16d32', 69_836_067],
  ['sd-vae-f8d4', 83_653_863],
  ['dc-ae-f32c32-sana', 312_250_275],
  ['taef2', 1_338_528 + 1_338_499],
  ['taesana', 1_256_288],
  ['sit-xl_maetok-b-128', 675_000_608],
  ['sit-l', 457_988_128],
  ['sit-b', 130_426_400],
  ['sit-xl-2', 675_129_632],
];

describe('models of known size', () => {
  it.each(PUBLISHED)('%s has %d parameters, as published', (name, parameters) => {
    expect(countParameters(preset(name))).toBe(parameters);
  });

  it('every one has its own name, latents and parameters', () => {
    expect(new Set(MODEL_PRESETS.map(({ name }) => name)).size).toBe(MODEL_PRESETS.length);
    for (const model of MODEL_PRESETS) {
      expect(Math.min(model.tokens, model.channels, countParameters(model))).toBeGreaterThan(0);
      for (const shape of Object.values(model.shapes()))
        expect(shape.every(side => Number.isInteger(side) && side > 0)).toBe(true);
    }
  });
});

describeWithShared('golden/maetok/full-size-keys.json', 'recorded listings of full-size models', () => {
  type Listing = { keys: Record<string, [dtype: string, shape: number[]]> };
  const recorded = (name: string): Shapes => {
    const listings = JSON.parse(readFileSync(`${SHARED}/golden/maetok/full-size-keys.json`, 'utf8')) as Record<
      string,
      Listing
    >;
    return Object.fromEntries(Object.entries(listings[name].keys).map(([key, [, shape]]) => [key, shape]));
  };
  const pairs: [string, string][] = [
    ['maetok-b-128', 'maetok-b-128 (256, config of the released training YAML)'],
    ['maetok-b-128-plain', 'maetok-b-128 (256, plain decoder variant)'],
    ['maetok-b-128-512', 'maetok-b-128-512 (patch 16, 1024 patches)'],
    ['ae-vit-b-128', 'ae-vit-b-128 (learned positions, what the released trainer builds)'],
    ['kl-vit-b-128', 'kl-vit-b-128'],
    ['sit-xl_maetok-b-128', 'sit-xl_maetok-b-128'],
    ['sit-xl-2', 'SiT-XL/2 (official 2D, 256 pixels)'],
  ];
  it.each(pairs)('%s: every key and shape, nothing allocated', (name, listing) => {
    expect(preset(name).shapes()).toEqual(recorded(listing));
  });
});

describeWithShared('golden/maetok/full-size-keys.json', 'the recorded listing of KL-16', () => {
  it('is the preset’s, once spelled as latent diffusion does', () => {
    const listings = JSON.parse(readFileSync(`${SHARED}/golden/maetok/full-size-keys.json`, 'utf8')) as Record<
      string,
      { keys: Record<string, [string, number[]]> }
    >;
    const arrays = Object.entries(listings['kl-16 (convolutional)'].keys).map(([key, [, shape]]) => [key, { shape }]);
    const ours = toLatentDiffusionKeys(Object.fromEntries(arrays) as Record<string, { shape: number[] }>);
    expect(Object.fromEntries(Object.entries(ours).map(([key, { shape }]) => [key, shape]))).toEqual(
      preset('kl-16').shapes(),
    );
  });
});

describe('maetok models', () => {
  it('lists them as CSV', async () => {
    const { code, stdout } = await maetok('models', 'va-vae-f16d32', 'sit-xl_maetok-b-128');
    expect(code).toBe(0);
    expect(parse(stdout, { columns: true, cast: true })).toMatchObject([
      { model: 'va-vae-f16d32', kind: 'tokenizer', image_size: 256, tokens: 256, channels: 32, parameters: 69_836_067 },
      { model: 'sit-xl_maetok-b-128', kind: 'diffusion', tokens: 128, channels: 32, parameters: 675_000_608 },
    ]);
  });

  it('--keys lists the tensors of a weights file', async () => {
    const { stdout } = await maetok('models', 'taesana', '--keys');
    const rows = rowsOf(stdout);
    expect(rows).toHaveLength(69);
    expect(rows[0]).toEqual({ model: 'taesana', tensor: 'encoder.0.weight', shape: '32x3x3x3', parameter: 'true' });
  });

  it('a name that it does not know is one line and exit 2', async () => {
    expect(await maetok('models', 'vqgan')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("no model 'vqgan'"),
    });
  });
});
