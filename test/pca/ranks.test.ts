import { beforeAll, describe, expect, it } from '@jest/globals';
import { RandomNumbers } from '../../src/base/index.js';
import { alone } from '../../src/distributed/index.js';
import { startEngine } from '../../src/engine/index.js';
import { columnReduction, rowMoments } from '../../src/pca/index.js';
import { arrayRows } from '../../src/rows/index.js';
import { asRanks } from '../helpers/ranks.js';

beforeAll(async () => {
  await startEngine();
});

// Rows enough for several ranks to have some.
const [ROWS, WIDTH] = [5000, 20];
const data = Float32Array.from(new RandomNumbers(1).normals(ROWS * WIDTH), (x, at) => (x + 5) * (1 + (at % WIDTH)));
const source = arrayRows('rows', data, ROWS, WIDTH);

describe('moments of rows that ranks divide among them', () => {
  it.each(['float64', 'float32'] as const)(
    'are those of one process, bit for bit, whatever their number: %s',
    async precision => {
      const one = await rowMoments(source, { threads: 2, precision });
      for (const size of [2, 3, 8])
        for (const moments of await asRanks(size, communicator =>
          rowMoments(source, { threads: 1, precision, communicator }),
        ))
          expect(moments).toEqual(one);
    },
  );

  it('so are means and deviations of columns', async () => {
    const one = await columnReduction(source, { communicator: alone });
    for (const size of [2, 3, 8])
      expect(await asRanks(size, communicator => columnReduction(source, { communicator }))).toEqual(
        new Array(size).fill(one),
      );
  });
});
