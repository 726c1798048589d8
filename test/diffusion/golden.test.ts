import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { DIFFUSION_SYSTEMS } from '../../src/verify/diffusion/index.js';
import { startEngine, tf, type Tensor } from '../../src/engine/index.js';
import { readSafetensors } from '../../src/io/index.js';
import { paramsFrom, type HostArray } from '../../src/nn/index.js';
import { describeWithShared, SHARED } from '../helpers/shared.js';

// Recorded with the published PyTorch code of each system on small random models (origins in each config.json).
const FIXTURES = fileURLToPath(new URL('../../fixtures/golden/diffusion', import.meta.url));

let tolerance: number;

beforeAll(async () => {
  tolerance = (await startEngine()) === 'native' ? 1e-4 : 5e-4;
});

/** torchdiffeq's own tolerance was 1e-3, and single precision decides where its steps fall. */
const toleranceFor = (name: string): number => (name.includes('dopri5') ? 1e-3 : tolerance);

const isTensor = (value: HostArray | Tensor): value is Tensor => value instanceof tf.Tensor;

async function expectAgreement(folder: string): Promise<void> {
  const config = JSON.parse(readFileSync(`${folder}/config.json`, 'utf8')) as Record<string, unknown>;
  const recorded = await readSafetensors(`${folder}/io.safetensors`);
  const weightsFile = `${folder}/weights.safetensors`;
  const arrays = existsSync(weightsFile) ? await readSafetensors(weightsFile) : {};
  const weights = paramsFrom(arrays);
  const system = DIFFUSION_SYSTEMS.find(({ recognises }) => recognises(config))!;
  const tensors = tf.memory().numTensors;
  const results = await system.verify({
    config,
    weights,
    arrays,
    recorded,
    inputs: Object.fromEntries(Object.entries(recorded).filter(([name]) => name.startsWith('in'))),
    wants: name => Object.hasOwn(recorded, name) && !name.startsWith('in'),
    folder,
    findWeights: () => Promise.resolve({}),
  });
  expect(Object.keys(results).sort()).toEqual(
    Object.keys(recorded)
      .filter(name => !name.startsWith('in'))
      .sort(),
  );
  for (const [name, value] of Object.entries(results)) {
    const expected = Array.from(recorded[name].data as ArrayLike<number>, Number);
    expect([name, value.shape]).toEqual([name, recorded[name].shape]);
    expect(isTensor(value) ? await value.data() : Array.from(value.data, Number)).toBeAllClose(expected, {
      rtol: toleranceFor(name),
    });
    if (isTensor(value)) value.dispose();
  }
  expect(tf.memory().numTensors).toBe(tensors);
  tf.dispose(Object.values(weights));
}

describe('agreement with the published code', () => {
  for (const name of [
    'sit-1d-qknorm',
    'lightningdit-2d',
    'edm-heun',
    'gft-beta-mlp',
    'gft-beta-3-layer-mlp',
    'rae-wide-head',
    'rae-equal-head',
    'irepa-early',
  ]) {
    it(`everything recorded of ${name}`, () => expectAgreement(`${FIXTURES}/${name}`));
  }
});

for (const name of [
  'maetok/sit-1d',
  'maetok/sit-2d',
  'lightningdit/plain-dit-switches',
  'lightningdit/published-xl-switches',
  'lightningdit/qknorm-noshift-patch2',
  'repa/sit-linear',
  'repa/sit-cosine-two-encoders',
  'gft/dit-beta-linear',
]) {
  describeWithShared(`golden/${name}`, name, () => {
    it('agrees with everything recorded', () => expectAgreement(`${SHARED}/golden/${name}`));
  });
}
