import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { startEngine, tf } from '../../src/engine/index.js';
import { readSafetensors } from '../../src/io/index.js';
import { countParameters } from '../../src/nn/index.js';
import { FAMILIES } from '../../src/tokenizers/index.js';
import type { TokenizerSource } from '../../src/tokenizers/tokenizer.js';
import { verifyCase } from '../../src/verify/verify.js';

// Recorded by the scripts beside them with the authors' published code.
const FOLDER = fileURLToPath(new URL('../../fixtures/golden/published', import.meta.url));
const CASES = readdirSync(FOLDER).filter(name => statSync(`${FOLDER}/${name}`).isDirectory());

describe.each([
  { engine: 'native', tolerance: 1e-4 },
  { engine: 'wasm', tolerance: 5e-4 },
])('published tokenizers on $engine', ({ engine, tolerance }) => {
  let runs = true;
  beforeAll(async () => {
    // Where there is no native engine, the same cases on WASM are the whole test.
    runs = (await startEngine(engine).catch(() => undefined)) === engine;
  });

  it.each(CASES)('%s: opened from its file, encoded and decoded as by its authors', async name => {
    if (!runs) return;
    const before = tf.memory().numTensors;
    const rows = await verifyCase(`${FOLDER}/${name}`, { tolerance });
    expect(rows.length).toBeGreaterThan(1);
    expect(rows.filter(({ pass }) => !pass).map(row => `${row.tensor}: ${row.max_rel_diff}`)).toEqual([]);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('full-size state dicts', () => {
  interface Listing {
    tensors: number;
    parameters: number;
    sha256: string;
  }
  const listings = JSON.parse(readFileSync(`${FOLDER}/full-size.json`, 'utf8')) as Record<string, Listing>;

  it.each(Object.keys(listings))('%s has every key and shape, and as many parameters', name => {
    const preset = FAMILIES.flatMap(({ presets }) => presets).find(row => row.name === name)!;
    const lines = Object.entries(preset.shapes()).map(([key, shape]) => `${key} ${shape.join('x')}\n`);
    expect({
      tensors: lines.length,
      parameters: countParameters(preset),
      sha256: createHash('sha256').update(lines.sort().join('')).digest('hex'),
    }).toEqual(listings[name]);
  });
});

describe('files that do not make up a whole tokenizer', () => {
  beforeAll(async () => {
    await startEngine('wasm');
  });

  async function recorded(name: string): Promise<TokenizerSource> {
    const { config } = JSON.parse(readFileSync(`${FOLDER}/${name}/config.json`, 'utf8')) as {
      config: Record<string, unknown>;
    };
    return { name, weights: await readSafetensors(`${FOLDER}/${name}/weights.safetensors`), config, digest: '' };
  }

  const opened = async (source: TokenizerSource): Promise<unknown> =>
    await FAMILIES.find(({ recognises }) => recognises(source))!.open(source, {});

  it.each(CASES)('%s: a tensor that is missing, or that nothing would read, is named', async name => {
    const source = await recorded(name);
    const missing = Object.keys(source.weights).find(key => /\.(norm2|ln_2)\.weight$/.test(key))!;
    const { [missing]: tensor, ...rest } = source.weights;
    await expect(async () => opened({ ...source, weights: rest })).rejects.toThrow(
      missing.replace('encoder.blocks', 'blocks'),
    );
    const unread = missing.replace(/(norm2|ln_2)/, 'norm9');
    const more = { ...source.weights, [unread]: tensor };
    await expect(async () => opened({ ...source, weights: more })).rejects.toThrow(
      unread.replace('encoder.blocks', 'blocks'),
    );
  });

  it('SoftVQ without its temperature, and SVG without its DINOv3, are refused with the remedy', async () => {
    const softVq = await recorded('softvq');
    await expect(async () => opened({ ...softVq, config: {} })).rejects.toThrow(/does not say tau.*--tokenizer-config/);
    const svg = await recorded('svg');
    const own = Object.entries(svg.weights).filter(([key]) => !key.startsWith('encoder.'));
    await expect(async () => opened({ ...svg, weights: Object.fromEntries(own) })).rejects.toThrow(/svg:DINOV3,SVG/);
  });
});
