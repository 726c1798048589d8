import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { countParameters, type ModelPreset } from '../../src/nn/index.js';
import { vitPresets } from '../../src/tokenizers/vit/presets.js';
import { describeWithShared, SHARED } from '../helpers/shared.js';

const preset = (name: string): ModelPreset => vitPresets.find(row => row.name === name)!;

describe('presets of the ViT tokenizers', () => {
  it.each([
    ['maetok-b-128', 173_891_360],
    ['maetok-b-128-plain', 172_681_760],
    ['maetok-b-128-512', 175_071_008],
    ['ae-vit-b-128', 173_873_696],
    ['kl-vit-b-128', 172_687_168],
  ])('%s has the published number of parameters', (name, parameters) => {
    expect(countParameters(preset(name))).toBe(parameters);
  });

  it('have names of their own', () => {
    const names = vitPresets.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });
});

describeWithShared('golden/maetok/full-size-keys.json', 'published state dicts', () => {
  const listings = JSON.parse(readFileSync(`${SHARED}/golden/maetok/full-size-keys.json`, 'utf8')) as Record<
    string,
    { keys: Record<string, [dtype: string, shape: number[]]> }
  >;

  it.each([
    ['maetok-b-128', 'maetok-b-128 (256, config of the released training YAML)'],
    ['maetok-b-128-plain', 'maetok-b-128 (256, plain decoder variant)'],
    ['maetok-b-128-512', 'maetok-b-128-512 (patch 16, 1024 patches)'],
    ['ae-vit-b-128', 'ae-vit-b-128 (learned positions, what the released trainer builds)'],
    ['kl-vit-b-128', 'kl-vit-b-128'],
  ])('%s has every key and shape', (name, listing) => {
    const expected = Object.entries(listings[listing].keys).map(([key, [, shape]]) => [key, shape]);
    expect(preset(name).shapes()).toEqual(Object.fromEntries(expected));
  });
});
