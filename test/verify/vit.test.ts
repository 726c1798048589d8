import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { startEngine, tf } from '../../src/engine/index.js';
import { verifyCase } from '../../src/verify/verify.js';
import { describeWithShared, SHARED } from '../helpers/shared.js';

const FIXTURES = fileURLToPath(new URL('../../fixtures/golden/maetok', import.meta.url));

// Recorded with the authors' code on small random models; config.json in each folder says with which.
const SMALL = ['ae-rope-mixed', 'kl-rope-mixed', 'hog-256'];
const OTHERS = [
  'ae-learned-positions',
  'ae-rope-mixed-cls-plain',
  'ae-rope-axial-forced',
  'kl-learned-positions',
  'maskae-aux',
];

const ENGINES = [
  { engine: 'native', tolerance: 1e-5 },
  { engine: 'wasm', tolerance: 1e-4 },
];

describe.each(ENGINES)('the ViT tokenizers on $engine', ({ engine, tolerance }) => {
  let runs = true;
  beforeAll(async () => {
    // Where there is no native engine, the same cases on WASM are the whole test.
    runs = (await startEngine(engine).catch(() => undefined)) === engine;
  });

  async function failures(folder: string): Promise<string[]> {
    const before = tf.memory().numTensors;
    const rows = await verifyCase(folder, { tolerance });
    expect(rows.length).toBeGreaterThan(0);
    expect(tf.memory().numTensors).toBe(before);
    return rows.filter(({ pass }) => !pass).map(row => `${row.tensor}: ${row.max_rel_diff}`);
  }

  it.each(SMALL)('%s: every recorded tensor', async name => {
    if (runs) expect(await failures(`${FIXTURES}/${name}`)).toEqual([]);
  });

  describeWithShared('golden/maetok', 'all recorded cases', () => {
    it.each(OTHERS)('%s: every recorded tensor', async name => {
      if (runs && existsSync(SHARED)) expect(await failures(`${SHARED}/golden/maetok/${name}`)).toEqual([]);
    });
  });
});
