import { beforeAll, describe, expect, test } from '@jest/globals';
import { startEngine, tf } from '../../src/engine/index.js';
import { verifyCase } from '../../src/verify/verify.js';

// Recorded with torch-fidelity 0.4.0, scipy, scikit-image and torchmetrics; ADM's evaluator re-expressed in NumPy.
beforeAll(async () => {
  await startEngine();
});

test('MIND along recorded directions', async () => {
  const [row] = await verifyCase('fixtures/golden/metrics/mind', { tolerance: 1e-4 });
  expect(row).toMatchObject({ tensor: 'output.mind', pass: true });
});

describe.each(['distribution', 'psnr-ssim'])('%s', name => {
  test('every recorded number is recomputed within 1e-4', async () => {
    const before = tf.memory().numTensors;
    const rows = await verifyCase(`fixtures/golden/metrics/${name}`, { tolerance: 1e-4 });
    expect(rows.length).toBeGreaterThan(9);
    // A set's distance to itself was recorded as rounding left it, -3e-14; ours is 0.
    expect(rows.filter(row => !row.pass)).toEqual([]);
    expect(tf.memory().numTensors).toBe(before);
  });
});
