import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { MODEL_PRESETS } from '../../src/jobs/models.js';
import { toLatentDiffusionKeys } from '../../src/tokenizers/ldm/keys.js';
import { spellingOf, toDiffusersKeys } from '../../src/tokenizers/wan/keys.js';

const FOLDER = fileURLToPath(new URL('../../fixtures/golden/image-vaes', import.meta.url));

type Shaped = Record<string, { shape: number[] }>;

describe('full-size state dicts of public packages', () => {
  const listings = JSON.parse(readFileSync(`${FOLDER}/full-size.json`, 'utf8')) as Record<
    string,
    Record<string, string>
  >;

  it.each(Object.keys(listings))('%s: every key and shape', listed => {
    const [name] = listed.split(',');
    const { shapes } = MODEL_PRESETS.find(preset => preset.name === name)!;
    const theirs = Object.entries(listings[listed]).map(([key, shape]) => [key, { shape: sides(shape) }] as const);
    expect(shapesOf(ours(Object.fromEntries(theirs)))).toEqual(shapes());
  });

  const sides = (shape: string): number[] => (shape === '' ? [] : shape.split('x').map(Number));
  const ours = (weights: Shaped): Shaped => {
    const spelling = spellingOf(Object.keys(weights));
    if (spelling === undefined) return toLatentDiffusionKeys(weights);
    return spelling === 'wan' ? toDiffusersKeys(weights) : weights;
  };
  const shapesOf = (weights: Shaped): Record<string, number[]> =>
    Object.fromEntries(Object.entries(weights).map(([key, { shape }]) => [key, shape]));
});
