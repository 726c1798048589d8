import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { startEngine, tf } from '../../src/engine/index.js';
import { countParameters } from '../../src/nn/index.js';
import { FAMILIES } from '../../src/tokenizers/index.js';
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
