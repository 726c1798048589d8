import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { startEngine, tf } from '../../src/engine/index.js';
import { verifyCase } from '../../src/verify/verify.js';
import { describeWithShared, SHARED } from '../helpers/shared.js';

const FIXTURES = fileURLToPath(new URL('../../fixtures/golden', import.meta.url));

// convolutional, image-vaes: recorded by the record.py beside them with diffusers; vf-loss and losses with their authors' code.
const SMALL = [
  'convolutional/sdvae-quant',
  'convolutional/sdvae-shift',
  'convolutional/dcae-in',
  'convolutional/dcae-sana',
  'convolutional/vf-loss',
  'image-vaes/flux2',
  'image-vaes/qwen-image',
  'image-vaes/wan',
  'image-vaes/wan-residual',
  'maetok/losses',
];

const ENGINES = [
  { engine: 'native', tolerance: 1e-4 },
  { engine: 'wasm', tolerance: 5e-4 },
];

const inShared = (...systems: string[]): string[] =>
  systems.flatMap(system => {
    const folder = `${SHARED}/golden/${system}`;
    return existsSync(folder) ? readdirSync(folder).map(name => `${system}/${name}`) : [];
  });

describe.each(ENGINES)('convolutional tokenizers and losses on $engine', ({ engine, tolerance }) => {
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

  describeWithShared('golden', 'cases recorded with the authors’ code', () => {
    const cases = [
      ...inShared('vavae', 'sdvae', 'dcae', 'taesd', 'efficientnet-lite0', 'flux2', 'qwen-image', 'wan'),
      ...['kl-cnn', 'disc-patchgan', 'disc-maskbit', 'disc-dino'].map(name => `maetok/${name}`),
      'lightningdit/latents-on-disk',
    ];
    // The small cases above are enough for every run on WebAssembly, where real weights take long.
    const isSlow = engine === 'wasm' && !process.env.MAETOK_SLOW;
    (isSlow ? it.skip : it).each(cases)('%s: every recorded tensor', async name => {
      if (runs) expect(await failures(`${SHARED}/golden/${name}`)).toEqual([]);
    });
  });
});
