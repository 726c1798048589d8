import { beforeAll, describe, expect, test } from '@jest/globals';
import { startEngine, tf } from '../../src/engine/index.js';
import { verifyCase } from '../../src/verify/verify.js';

// Recorded with PyTorch 2: inception-synthetic with torch-fidelity 0.4.0's network, lpips-synthetic with lpips 0.1's.
beforeAll(async () => {
  await startEngine();
});

describe.each(['inception-synthetic', 'lpips-synthetic'])('%s', name => {
  test('every recorded tensor is recomputed within 1e-4 of its scale', async () => {
    const before = tf.memory().numTensors;
    const rows = await verifyCase(`fixtures/golden/metrics/${name}`, { tolerance: 1e-4 });
    expect(rows.length).toBeGreaterThan(5);
    expect(rows.filter(row => !row.pass)).toEqual([]);
    expect(tf.memory().numTensors).toBe(before);
  });
});
